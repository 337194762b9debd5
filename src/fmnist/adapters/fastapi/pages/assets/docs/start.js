// Shows the service's own OpenAPI document. Its address is relative, because the service may have a prefix.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  layout: "BaseLayout",
  deepLinking: true,
  // Swagger's own validator is on another host.
  validatorUrl: null,
});

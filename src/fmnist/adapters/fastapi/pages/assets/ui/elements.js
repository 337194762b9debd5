// Makes elements. Text from the service is always a text node, never markup.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, children = []) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

"""prometheus-client: `meter` counts in this process, for the service without Ray."""

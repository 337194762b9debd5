"""Fashion-MNIST classification: values, rules and use cases. Imports only the standard library and numpy."""

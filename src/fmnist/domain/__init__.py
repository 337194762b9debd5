"""What classifying Fashion-MNIST is about: values, rules and use cases, in the standard library and numpy alone."""

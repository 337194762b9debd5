"""OpenTelemetry: `tracer` sends the traces of predictions to a collector, by OTLP over HTTP."""

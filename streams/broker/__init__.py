"""The embedded Kafka: a real broker from Maven Central's jars, for the demo and for tests."""

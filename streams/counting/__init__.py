"""Counting what people answer to campaigns and what uploaders bring in. Pure."""

"""Networks of functions in a VPC."""

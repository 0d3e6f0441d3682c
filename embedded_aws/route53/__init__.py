"""DNS and the hosted zones of Route 53."""

"""Compare cold starts and requests with other frameworks, and measure deploys. See README.md."""

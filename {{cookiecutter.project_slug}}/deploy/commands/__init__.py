"""The commands of ./deploy.sh, one file for each. A new file with a Typer `app` is a new command."""

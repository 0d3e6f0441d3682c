"""One file a verb: what ./deploy.sh can do."""

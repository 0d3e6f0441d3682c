#!/bin/sh
# The handler is the image's CMD. Without a Runtime API of its own (docker run on a desk) AWS's emulator stands in.
if [ $# -ne 1 ]; then
    echo "entrypoint requires the handler name to be the first argument" >&2
    exit 142
fi
export _HANDLER="$1"
if [ -z "${AWS_LAMBDA_RUNTIME_API}" ]; then
    exec /usr/local/bin/aws-lambda-rie "$LAMBDA_RUNTIME_DIR/bootstrap"
fi
exec "$LAMBDA_RUNTIME_DIR/bootstrap"

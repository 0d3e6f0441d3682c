"""Fetch the credentials of an environment that Lambda restored from a snapshot.

With SnapStart they are not in environment variables, because those of the snapshot would expire.
"""

import json
import os
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from aws_lambda.sigv4 import TIMEOUT_S, AwsError, TransientAwsError

TOKEN_VARIABLE = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - the name of a variable, not a token


def fetch_credentials(uri: str) -> tuple[str, str, str]:
    """Return the access key, the secret key and the session token from AWS_CONTAINER_CREDENTIALS_FULL_URI.

    Raise AwsError if the response contains no credentials, and TransientAwsError if nothing responds.
    """
    endpoint = urlsplit(uri)
    connection = HTTPConnection(endpoint.netloc, timeout=TIMEOUT_S)
    # The messages of the errors may contain a key.
    try:
        connection.request("GET", endpoint.path, headers={"Authorization": os.environ[TOKEN_VARIABLE]})
        keys = json.loads(connection.getresponse().read())
        return keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"]
    except (OSError, HTTPException) as error:
        raise TransientAwsError(f"No credentials from {endpoint.netloc} ({type(error).__name__})") from None
    except (ValueError, TypeError, KeyError) as error:
        raise AwsError(f"No credentials from {endpoint.netloc} ({type(error).__name__})") from None
    finally:
        connection.close()

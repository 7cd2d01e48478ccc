"""Puts a file at an s3:// URL: s3_put.py FILE URL. Keys and endpoint from the environment; prints null."""

import os
import sys

import boto3

bucket, key = sys.argv[2].removeprefix("s3://").split("/", 1)
client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT"])
client.upload_file(sys.argv[1], bucket, key)
print("null")

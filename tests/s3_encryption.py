#!/usr/bin/env python3
"""Prints {key: server-side encryption} of the objects below an S3 prefix as JSON. Settings are the AWS_* variables."""

import json
import os
import sys
import urllib.parse

import boto3
from botocore.config import Config

url = urllib.parse.urlparse(sys.argv[1])
client = boto3.client(
    "s3",
    endpoint_url=os.environ["AWS_ENDPOINT"],
    region_name=os.environ.get("AWS_REGION", "us-east-1"),
    config=Config(s3={"addressing_style": "path"}),
)
pages = client.get_paginator("list_objects_v2").paginate(Bucket=url.netloc, Prefix=url.path.lstrip("/"))
keys = [o["Key"] for page in pages for o in page.get("Contents", [])]
heads = {key: client.head_object(Bucket=url.netloc, Key=key) for key in keys}
print(json.dumps({key: [h.get("ServerSideEncryption"), h.get("SSEKMSKeyId")] for key, h in heads.items()}))

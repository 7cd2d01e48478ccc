#!/usr/bin/env python3
"""Prepares buckets for the tests: one process for a whole run, as starting boto3 takes longer than its work.

Standard input: one JSON list a line, [ENDPOINT, ACTION, BUCKET]. The actions:
  create        a new bucket of the user test
  allow_reads   lets the user reader list it and get its objects, by a bucket policy
Standard output: one JSON value a line: null, or a string that says what went wrong.
"""

import json
import sys

import boto3
from botocore.config import Config


def client(endpoint):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="testtest",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


def allow_reads(s3, bucket):
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["arn:aws:iam:::user/reader"]},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def main():
    clients = {}
    for line in sys.stdin:
        endpoint, action, bucket = json.loads(line)
        try:
            if endpoint not in clients:
                clients[endpoint] = client(endpoint)
            s3 = clients[endpoint]
            if action == "create":
                s3.create_bucket(Bucket=bucket)
            elif action == "allow_reads":
                allow_reads(s3, bucket)
            else:
                raise ValueError(f"no action {action}")
            answer = None
        except Exception as error:  # the caller decides what an error means
            answer = f"{action} {bucket}: {error}"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

"""Prints who it is for AWS: as each of the profiles that are named, or as the SDK decides where none is."""

import sys

import boto3

profiles: list[str | None] = [*sys.argv[1:]]
for profile in profiles or [None]:
    print(boto3.Session(profile_name=profile).client("sts").get_caller_identity()["Arn"])  # noqa: T201 - a program

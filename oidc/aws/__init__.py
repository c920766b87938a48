"""What AWS is told about an issuer: so far the trust policies of roles. Pure; who asks AWS imports boto3 itself."""

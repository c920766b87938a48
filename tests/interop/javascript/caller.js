// Prints who it is for AWS: as each of the profiles that are named, or as the SDK decides where none is.
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

const profiles = process.argv.length > 2 ? process.argv.slice(2) : [undefined];
for (const profile of profiles) {
  const caller = await new STSClient(profile ? { profile } : {}).send(new GetCallerIdentityCommand({}));
  console.log(caller.Arn);
}

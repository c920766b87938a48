// Prints who it is for AWS: as each of the profiles that are named, or as the SDK decides where none is.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if len(os.Args) == 1 {
		printCaller(ctx)
	}
	for _, profile := range os.Args[1:] {
		printCaller(ctx, config.WithSharedConfigProfile(profile))
	}
}

func printCaller(ctx context.Context, options ...func(*config.LoadOptions) error) {
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		log.Fatal(err)
	}
	caller, err := sts.NewFromConfig(loaded).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(aws.ToString(caller.Arn))
}

// composecheck loads a compose file as `docker compose` does, and prints it as it is understood.
//
// It is compose-go, the loader inside docker compose: schema, merges, interpolation, and that every
// service, volume and network that is named exists. It asks no Docker engine and pulls no image.
// Exit status 1 and the loader's words if the file does not load.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if err := printAsUnderstood(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func printAsUnderstood(files []string) error {
	if len(files) != 1 {
		return fmt.Errorf("usage: composecheck FILE")
	}
	options, err := cli.NewProjectOptions(files)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	understood, err := project.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(understood)
	return err
}

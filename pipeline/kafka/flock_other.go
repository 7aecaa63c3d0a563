//go:build !unix

package kafka

import "os"

func flock(*os.File) error { return nil }

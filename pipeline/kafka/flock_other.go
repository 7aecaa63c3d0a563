//go:build !unix

package kafka

import "os"

func flock(*os.File) error { return nil }

func funlock(*os.File) error { return nil }

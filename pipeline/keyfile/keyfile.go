// Package keyfile reads the files that settings name for secrets, keys and certificates.
package keyfile

import (
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// most is how large such a file may be: a bundle of all public authorities has a quarter of it.
const most = 1 << 20

// Read is what is in a file. One that is no regular file is refused at once: whoever opens a pipe waits for its writer, and what it gave is gone when the file is
// read again.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if kind := kindOf(info.Mode()); kind != "" {
		return nil, fmt.Errorf("%q is a %s: name a regular file, which can be read again", path, kind)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(text) > most {
		err = fmt.Errorf("%q has more than 1 MiB, which no key or certificate has", path)
	}
	return text, err
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return ""
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeNamedPipe != 0:
		return "pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// ReadPair is a certificate with its key.
func ReadPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := Read(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := Read(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

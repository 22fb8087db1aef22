package pwm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files are those of the kernel below /sys/class/pwm. Errors wrap what the kernel says.
type Files interface {
	Read(name string) (string, error) // without the newline at its end
	Write(name, value string) error
}

// An Opener returns the files below a path.
type Opener func(root string) Files

// tree are real files.
type tree string

func (t tree) Read(name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(string(t), name))
	return strings.TrimSpace(string(data)), plain(err)
}

func (t tree) Write(name, value string) error {
	file, err := os.OpenFile(filepath.Join(string(t), name), os.O_WRONLY, 0)
	if err != nil {
		return plain(err)
	}
	_, err = file.WriteString(value)
	return plain(errors.Join(err, file.Close()))
}

// plain is an error without the path, which is said elsewhere.
func plain(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

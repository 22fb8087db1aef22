package config

import (
	"errors"
	"path/filepath"
	"strings"

	"tidings/devices/schema"
)

// maxSecret bounds a secret, in bytes: a longer file is not one.
const maxSecret = 4096

// resolveSecrets puts every secret behind its plain key: as it stands there, from the file that NAME_file names, or
// from systemd's credentials when neither is given.
func (l *loader) resolveSecrets(root *schema.Table) {
	if t := root.Table("xmpp"); t != nil && t.String("mode") != Local {
		l.resolveIn(t, xmppKeys, "xmpp")
	}
	for _, t := range root.Table("drivers").Tables() {
		if typ := l.likelyType(t); typ != nil && tableName.MatchString(t.Name()) {
			l.resolveIn(t, typ.Connection, typ.Name+"-"+t.Name())
		}
	}
	l.resolveRooms(root)
}

// resolveIn fetches the secrets of one table. The credential of a driver's only secret is called TYPE-NAME
// (mqtt-house), of any other PREFIX-KEY (xmpp-secret).
func (l *loader) resolveIn(t *schema.Table, keys []schema.Key, prefix string) {
	var secrets []string
	for _, k := range keys {
		if k.Secret && !k.Later && !strings.HasSuffix(k.Name, "_file") {
			secrets = append(secrets, k.Name)
		}
	}
	for _, key := range secrets {
		credential := prefix
		if len(secrets) > 1 || prefix == "xmpp" {
			credential = prefix + "-" + key
		}
		l.resolveSecret(t, key, credential)
	}
}

func (l *loader) resolveSecret(t *schema.Table, key, credential string) {
	plainly, given := t.Get(key)
	named, fromFile := t.Get(key + "_file")
	if path, _ := named.V.(string); path == "" {
		fromFile = false // the empty string of a sample stands for nothing
	}
	if s, _ := plainly.V.(string); s == "" {
		given = false
	}
	switch {
	case given && fromFile:
		t.Errorf(key+"_file", "%s and %s_file are both given: keep one", key, key)
	case given:
		if l.open[plainly.File] && !l.expanded[place{plainly.File, plainly.Line, schema.JoinPath(t.Path, key)}] {
			t.Errorf(key, "%s stands in a file that others can read: chmod 600 %s, or name a file that only the gateway can read with %s_file", key, plainly.File, key)
		}
	case fromFile:
		l.secretFile(t, key, named)
	default:
		l.credential(t, key, credential)
	}
	t.Delete(key + "_file")
}

// unavailable stands for a secret that could not be had. The load has failed then; it keeps those who read the table
// from calling the secret missing.
const unavailable = "[unavailable]"

// secretFile reads the secret from the file that KEY_file names.
func (l *loader) secretFile(t *schema.Table, key string, named schema.Value) {
	path, _ := named.V.(string)
	named.V = unavailable
	defer func() { t.Set(key, named) }()
	data, open, err := readSmall(path)
	if err != nil {
		t.Errorf(key+"_file", "%s_file: %s: %v", key, path, err)
		return
	}
	if open {
		t.Errorf(key+"_file", "%s_file: others can read %s: chmod 600 %s", key, path, path)
	}
	secret, err := cutSecret(data)
	if err != nil {
		t.Errorf(key+"_file", "%s_file: %s: %v", key, path, err)
		return
	}
	named.V = secret
}

// credential takes the secret that systemd hands to the service (LoadCredential=), if it does.
func (l *loader) credential(t *schema.Table, key, name string) {
	dir, ok := l.Env("CREDENTIALS_DIRECTORY")
	if !ok || dir == "" {
		return
	}
	data, _, err := readSmall(filepath.Join(dir, name))
	if errors.Is(err, errNoFile) {
		return
	}
	var secret string
	if err == nil {
		secret, err = cutSecret(data)
	}
	if err != nil {
		t.Errorf("", "the credential %s: %v", name, err)
		secret = unavailable
	}
	t.Set(key, schema.Value{V: secret, File: t.File, Line: t.Line})
}

// cutSecret takes the newline away that editors and echo put at the end.
func cutSecret(data []byte) (string, error) {
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case secret == "":
		return "", errors.New("the file is empty")
	case len(secret) > maxSecret:
		return "", errors.New("the file is too large to hold a secret")
	case strings.ContainsAny(secret, "\x00\n"):
		return "", errors.New("the file holds more than one line: a secret is one")
	}
	return secret, nil
}

// What OpenBao does with a KMIP server to unseal itself: its own code (go-kms-wrapping, the module that OpenBao 2.4 has built in)
// seals a root key, is configured anew as after a restart, and opens it. Prints one JSON object.
//
// usage: openbao -endpoint HOST:PORT -cert FILE -key FILE -ca FILE -id KEY -algorithm NAME
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"

	wrapping "github.com/openbao/go-kms-wrapping/v2"
	"github.com/openbao/go-kms-wrapping/wrappers/kmip/v2"
)

func main() {
	options := map[string]string{"timeout": "10"}
	for flagName, name := range map[string]string{
		"endpoint": "endpoint", "cert": "client_cert", "key": "client_key", "ca": "ca_cert", "id": "kms_key_id", "algorithm": "encrypt_alg",
	} {
		flag.Func(flagName, name, func(value string) error {
			options[name] = value
			return nil
		})
	}
	flag.Parse()
	told, err := sealAndUnseal(context.Background(), options)
	if err != nil {
		told = map[string]string{"error": err.Error()}
	}
	_ = json.NewEncoder(os.Stdout).Encode(told)
	if err != nil {
		os.Exit(1)
	}
}

// What the wrapper says of the server.
func sealAndUnseal(ctx context.Context, options map[string]string) (map[string]string, error) {
	rootKey := bytes.Repeat([]byte("root key"), 4)
	before, config, err := configured(ctx, options)
	if err != nil {
		return nil, err
	}
	sealed, err := before.Encrypt(ctx, rootKey)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(sealed.Ciphertext, rootKey) {
		return nil, errors.New("the root key is not sealed")
	}
	after, _, err := configured(ctx, options)
	if err != nil {
		return nil, err
	}
	opened, err := after.Decrypt(ctx, sealed)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(opened, rootKey) {
		return nil, errors.New("another root key came back")
	}
	sealed.Ciphertext[0] ^= 1
	if _, err := after.Decrypt(ctx, sealed); err == nil {
		return nil, errors.New("a changed seal was opened")
	}
	return config.Metadata, nil
}

func configured(ctx context.Context, options map[string]string) (*kmip.Wrapper, *wrapping.WrapperConfig, error) {
	wrapper := kmip.NewWrapper()
	config, err := wrapper.SetConfig(ctx, wrapping.WithConfigMap(options), wrapping.WithDisallowEnvVars(true))
	return wrapper, config, err
}

// A KMIP client of the stories, on ovh/kmip-go: one JSON object a line on stdout, errors too, so that nothing is guessed.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/ovh/kmip-go"
	"github.com/ovh/kmip-go/kmipclient"
)

type options struct {
	endpoints                        []string
	cert, key, ca, name, id, version string
	count, tries                     int
	seconds, timeout, every          float64
}

type line map[string]any

func say(fields line) {
	text, _ := json.Marshal(fields)
	fmt.Println(string(text))
}

func connect(o options, endpoint string) (*kmipclient.Client, error) {
	timeout := time.Duration(o.timeout * float64(time.Second))
	settings := []kmipclient.Option{
		kmipclient.WithRootCAFile(o.ca), kmipclient.WithClientCertFiles(o.cert, o.key),
		kmipclient.WithMiddlewares(kmipclient.TimeoutMiddleware(timeout)),
	}
	if o.version != "" {
		var version kmip.ProtocolVersion
		if _, err := fmt.Sscanf(o.version, "%d.%d", &version.ProtocolVersionMajor, &version.ProtocolVersionMinor); err != nil {
			return nil, err
		}
		settings = append(settings, kmipclient.EnforceVersion(version))
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return kmipclient.DialContext(ctx, endpoint, settings...)
}

func create(client *kmipclient.Client, name string) (string, error) {
	usage := kmip.CryptographicUsageEncrypt | kmip.CryptographicUsageDecrypt
	response, err := client.Create().AES(256, usage).WithName(name).Exec()
	if err != nil {
		return "", err
	}
	return response.UniqueIdentifier, nil
}

func digest(client *kmipclient.Client, id string) (string, error) {
	response, err := client.Get(id).Exec()
	if err != nil {
		return "", err
	}
	key, ok := response.Object.(*kmip.SymmetricKey)
	if !ok {
		return "", fmt.Errorf("%T is no symmetric key", response.Object)
	}
	material, err := key.KeyMaterial()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(material)
	return hex.EncodeToString(sum[:]), nil
}

// loop writes to the first endpoint that answers and goes on to the next when one fails. A request has failed when it was
// tried as often as --tries says; tries before that are told as "retried". Requests begin no closer than --every.
func loop(o options) {
	var client *kmipclient.Client
	end := time.Now().Add(time.Duration(o.seconds * float64(time.Second)))
	for number, at := 0, 0; number < o.count && time.Now().Before(end); number++ {
		begin := time.Now()
		for try := 1; try <= o.tries; try++ {
			endpoint := o.endpoints[at%len(o.endpoints)]
			var err error
			if client == nil {
				client, err = connect(o, endpoint)
			}
			id := ""
			if err == nil {
				id, err = create(client, nameOf(o.name, number, try))
			}
			if err == nil {
				say(line{"id": id, "endpoint": endpoint, "ms": time.Since(begin).Milliseconds()})
				break
			}
			outcome := "retried"
			if try == o.tries {
				outcome = "error"
			}
			say(line{outcome: err.Error(), "endpoint": endpoint})
			hangUp(client)
			client, at = nil, at+1
		}
		time.Sleep(time.Until(begin.Add(time.Duration(o.every * float64(time.Second)))))
	}
}

// nameOf gives every try a name of its own: one whose answer was lost may have been carried out, and then holds its name.
func nameOf(base string, number, try int) string {
	if try == 1 {
		return fmt.Sprintf("%s-%d", base, number)
	}
	return fmt.Sprintf("%s-%d.%d", base, number, try)
}

// hangUp forgets a client whose connection failed. kmip-go v0.6.0 panics in Close when it could not connect again by itself.
func hangUp(client *kmipclient.Client) {
	defer func() { _ = recover() }()
	if client != nil {
		_ = client.Close()
	}
}

func read(client *kmipclient.Client) {
	for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
		id := strings.TrimSpace(scanner.Text())
		if sum, err := digest(client, id); err != nil {
			say(line{"id": id, "error": err.Error()})
		} else {
			say(line{"id": id, "digest": sum})
		}
	}
}

func one(o options, client *kmipclient.Client, command string) error {
	switch command {
	case "create":
		id, err := create(client, o.name)
		if err != nil {
			return err
		}
		o.id = id
		fallthrough
	case "get":
		sum, err := digest(client, o.id)
		if err == nil {
			say(line{"id": o.id, "digest": sum})
		}
		return err
	case "read":
		read(client)
	case "locate":
		response, err := client.Locate().WithName(o.name).Exec()
		if err != nil {
			return err
		}
		for _, id := range response.UniqueIdentifier {
			say(line{"id": id})
		}
	case "attributes":
		response, err := client.GetAttributes(o.id).Exec()
		if err != nil {
			return err
		}
		names := []string{}
		for _, attribute := range response.Attribute {
			names = append(names, string(attribute.AttributeName))
		}
		say(line{"id": o.id, "attributes": names})
	case "activate":
		_, err := client.Activate(o.id).Exec()
		return done(o, command, err)
	case "revoke":
		_, err := client.Revoke(o.id).WithRevocationReasonCode(kmip.RevocationReasonCodeCessationOfOperation).Exec()
		return done(o, command, err)
	case "destroy":
		_, err := client.Destroy(o.id).Exec()
		return done(o, command, err)
	default:
		return fmt.Errorf("unknown command %q: loop, create, get, read, locate, attributes, activate, revoke, destroy", command)
	}
	return nil
}

func done(o options, command string, err error) error {
	if err == nil {
		say(line{"id": o.id, "done": command})
	}
	return err
}

func main() {
	var o options
	flag.Func("endpoint", "HOST:PORT; several for loop", func(value string) error {
		_, _, err := net.SplitHostPort(value)
		o.endpoints = append(o.endpoints, value)
		return err
	})
	flag.StringVar(&o.cert, "cert", "", "client certificate (PEM file)")
	flag.StringVar(&o.key, "key", "", "its private key (PEM file)")
	flag.StringVar(&o.ca, "ca", "", "CA of the servers (PEM file)")
	flag.StringVar(&o.version, "version", "", "KMIP version, for example 1.4; negotiated when empty")
	flag.Float64Var(&o.timeout, "timeout", 5, "seconds a request may take")
	flag.StringVar(&o.name, "name", "key", "name of the key, or the beginning of the names of loop")
	flag.StringVar(&o.id, "id", "", "unique identifier")
	flag.IntVar(&o.tries, "tries", 1, "endpoints at which loop tries a request before it has failed")
	flag.Float64Var(&o.every, "every", 0, "seconds from one request of loop to the next, at least")
	flag.IntVar(&o.count, "count", 1000, "keys that loop makes at most")
	flag.Float64Var(&o.seconds, "seconds", 60, "seconds that loop runs at most")
	flag.Parse()
	if len(o.endpoints) == 0 || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if flag.Arg(0) == "loop" {
		loop(o)
		return
	}
	client, err := connect(o, o.endpoints[0])
	if err == nil {
		defer client.Close()
		err = one(o, client, flag.Arg(0))
	}
	if err != nil {
		say(line{"error": err.Error(), "endpoint": o.endpoints[0]})
		os.Exit(1)
	}
}

// Checks of a KMIP server through ovh/kmip-go, which is strict about types: one JSON object a check on stdout.
//
//	suite -endpoint HOST:PORT -version 1.2 -cert FILE -key FILE -ca FILE
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/ovh/kmip-go"
	"github.com/ovh/kmip-go/kmipclient"
	"github.com/ovh/kmip-go/payloads"
	"github.com/ovh/kmip-go/ttlv"
)

const patience = 10 * time.Second

// check is a sentence and what makes it true; since is the minor version of KMIP 1 that brought what it needs, and
// operations are those that it needs: a server whose Query does not list them has nothing to be checked.
type check struct {
	sentence   string
	since      int32
	operations []kmip.Operation
	run        func(*kmipclient.Client) error
}

type result struct {
	Check  string `json:"check"`
	Error  string `json:"error,omitempty"`
	Absent string `json:"absent,omitempty"`
}

func main() {
	endpoint := flag.String("endpoint", "", "HOST:PORT")
	cert := flag.String("cert", "", "client certificate (PEM file)")
	key := flag.String("key", "", "its private key (PEM file)")
	ca := flag.String("ca", "", "CA of the server (PEM file)")
	minor := flag.Int("minor", 4, "minor version of KMIP 1")
	flag.Parse()
	version := kmip.ProtocolVersion{ProtocolVersionMajor: 1, ProtocolVersionMinor: int32(*minor)}
	client, err := kmipclient.Dial(*endpoint,
		kmipclient.WithRootCAFile(*ca), kmipclient.WithClientCertFiles(*cert, *key),
		kmipclient.EnforceVersion(version), kmipclient.WithMiddlewares(kmipclient.TimeoutMiddleware(patience)))
	if err != nil {
		say(result{Check: "the client connects", Error: err.Error()})
		return
	}
	defer client.Close()
	served := operations(client)
	for _, each := range checks {
		if each.since <= version.ProtocolVersionMinor {
			say(run(each, client, served))
		}
	}
}

func run(each check, client *kmipclient.Client, served map[kmip.Operation]bool) (outcome result) {
	outcome.Check = each.sentence
	for _, operation := range each.operations {
		if !served[operation] {
			outcome.Absent = fmt.Sprint(operation)
			return
		}
	}
	// The library panics on answers that its types do not foresee: that is a finding too.
	defer func() {
		if problem := recover(); problem != nil {
			outcome.Error = fmt.Sprint("panic: ", problem)
		}
	}()
	if err := each.run(client); err != nil {
		outcome.Error = err.Error()
	}
	return
}

func operations(client *kmipclient.Client) map[kmip.Operation]bool {
	served := map[kmip.Operation]bool{}
	if response, err := client.Query().Operations().Exec(); err == nil {
		for _, operation := range response.Operations {
			served[operation] = true
		}
	}
	return served
}

func say(outcome result) {
	text, _ := json.Marshal(outcome)
	fmt.Println(string(text))
}

// refused is nil when the error is the server's refusal with one of the reasons; the library tells them as text.
func refused(err error, reasons ...kmip.ResultReason) error {
	if err == nil || !strings.Contains(err.Error(), "failed (status=") {
		return fmt.Errorf("not refused: %v", err)
	}
	for _, reason := range reasons {
		if strings.Contains(err.Error(), fmt.Sprintf("reason=%q", ttlv.EnumStr(reason))) {
			return nil
		}
	}
	return fmt.Errorf("refused for another reason than %v: %w", reasons, err)
}

func equal(what string, got, wanted any) error {
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		return fmt.Errorf("%s is %v, not %v", what, got, wanted)
	}
	return nil
}

func first(problems ...error) error {
	for _, problem := range problems {
		if problem != nil {
			return problem
		}
	}
	return nil
}

const encryptDecrypt = kmip.CryptographicUsageEncrypt | kmip.CryptographicUsageDecrypt

// aKey makes an AES key, and destroys it when the work is done.
func aKey(client *kmipclient.Client, work func(id string) error) error {
	made, err := client.Create().AES(256, encryptDecrypt).WithName(unique("key")).Exec()
	if err != nil {
		return err
	}
	defer forget(client, made.UniqueIdentifier)
	return work(made.UniqueIdentifier)
}

func forget(client *kmipclient.Client, ids ...string) {
	for _, id := range ids {
		_, _ = client.Revoke(id).WithRevocationReasonCode(kmip.RevocationReasonCodeCessationOfOperation).Exec()
		_, _ = client.Destroy(id).Exec()
	}
}

func unique(name string) string {
	return fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
}

// attributes reads all that the server tells of an object, by name.
func attributes(client *kmipclient.Client, id string, names ...kmip.AttributeName) (map[kmip.AttributeName]any, error) {
	response, err := client.GetAttributes(id, names...).Exec()
	if err != nil {
		return nil, err
	}
	found := map[kmip.AttributeName]any{}
	for _, attribute := range response.Attribute {
		found[attribute.AttributeName] = attribute.AttributeValue
	}
	return found, nil
}

func state(client *kmipclient.Client, id string) (any, error) {
	found, err := attributes(client, id, kmip.AttributeNameState)
	return found[kmip.AttributeNameState], err
}

func isInState(client *kmipclient.Client, id string, wanted kmip.State) error {
	now, err := state(client, id)
	return first(err, equal("state", now, wanted))
}

// raw sends payloads that the builders would not make.
func raw(client *kmipclient.Client, payload kmip.OperationPayload) (kmip.OperationPayload, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return client.Request(ctx, payload)
}

func identifierOf(payload kmip.OperationPayload) string {
	if created, ok := payload.(*payloads.CreateResponsePayload); ok {
		return created.UniqueIdentifier
	}
	return ""
}

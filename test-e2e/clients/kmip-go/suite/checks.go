package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/ovh/kmip-go"
	"github.com/ovh/kmip-go/kmipclient"
	"github.com/ovh/kmip-go/payloads"
)

var checks = append(append(lifecycle, gating...), append(readOnly, append(searching, append(batches, cryptography...)...)...)...)

var lifecycle = []check{
	{"a key goes from pre-active to destroyed, and its bytes are gone then", 0, nil, func(client *kmipclient.Client) error {
		return aKey(client, func(id string) error {
			if err := isInState(client, id, kmip.StatePreActive); err != nil {
				return err
			}
			if _, err := client.Activate(id).Exec(); err != nil {
				return err
			}
			if err := isInState(client, id, kmip.StateActive); err != nil {
				return err
			}
			_, err := client.Destroy(id).Exec()
			if err = refused(err, kmip.ResultReasonPermissionDenied, 0x3f /* wrong state, from 2.0 */); err != nil {
				return fmt.Errorf("destroying an active key: %w", err)
			}
			if _, err := client.Revoke(id).WithRevocationReasonCode(kmip.RevocationReasonCodeCessationOfOperation).Exec(); err != nil {
				return err
			}
			if err := isInState(client, id, kmip.StateDeactivated); err != nil {
				return err
			}
			if _, err := client.Destroy(id).Exec(); err != nil {
				return err
			}
			_, err = client.Get(id).Exec()
			return refused(err, kmip.ResultReasonItemNotFound, kmip.ResultReasonIllegalOperation, kmip.ResultReasonPermissionDenied)
		})
	}},
	{"a compromised key is told to be so, and when", 0, nil, func(client *kmipclient.Client) error {
		return aKey(client, func(id string) error {
			if _, err := client.Revoke(id).WithRevocationReasonCode(kmip.RevocationReasonCodeKeyCompromise).Exec(); err != nil {
				return err
			}
			found, err := attributes(client, id)
			if err == nil && found[kmip.AttributeNameCompromiseDate] == nil {
				err = fmt.Errorf("no Compromise Date")
			}
			return first(err, equal("state", found[kmip.AttributeNameState], kmip.StateCompromised))
		})
	}},
	{"a registered key comes back byte for byte", 0, nil, func(client *kmipclient.Client) error {
		value := make([]byte, 32)
		_, _ = rand.Read(value)
		made, err := client.Register().SymmetricKey(kmip.CryptographicAlgorithmAES, encryptDecrypt, value).WithName(unique("own")).Exec()
		if err != nil {
			return err
		}
		defer forget(client, made.UniqueIdentifier)
		got, err := client.Get(made.UniqueIdentifier).Exec()
		if err != nil {
			return err
		}
		material, err := got.Object.(*kmip.SymmetricKey).KeyMaterial()
		if err == nil && !bytes.Equal(material, value) {
			err = fmt.Errorf("the bytes differ")
		}
		return err
	}},
	{"a password comes back as it was registered", 0, nil, func(client *kmipclient.Client) error {
		made, err := client.Register().SecretString(kmip.SecretDataTypePassword, "tr0ub4dor").WithName(unique("password")).Exec()
		if err != nil {
			return err
		}
		defer forget(client, made.UniqueIdentifier)
		got, err := client.Get(made.UniqueIdentifier).Exec()
		if err != nil {
			return err
		}
		secret, err := got.Object.(*kmip.SecretData).Data()
		return first(err, equal("secret", string(secret), "tr0ub4dor"))
	}},
	{"an RSA private key comes back as it was registered", 0, nil, func(client *kmipclient.Client) error {
		key, _ := rsa.GenerateKey(rand.Reader, 2048)
		made, err := client.Register().RsaPrivateKey(key, kmip.CryptographicUsageSign).WithName(unique("rsa")).Exec()
		if err != nil {
			return err
		}
		defer forget(client, made.UniqueIdentifier)
		got, err := client.Get(made.UniqueIdentifier).Exec()
		if err != nil {
			return err
		}
		back, err := got.Object.(*kmip.PrivateKey).RSA()
		if err == nil && !back.Equal(key) {
			err = fmt.Errorf("another key came back")
		}
		return err
	}},
	{"a P-256 public key comes back as it was registered", 0, nil, func(client *kmipclient.Client) error {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		made, err := client.Register().EcdsaPublicKey(&key.PublicKey, kmip.CryptographicUsageVerify).WithName(unique("ec")).Exec()
		if err != nil {
			return err
		}
		defer forget(client, made.UniqueIdentifier)
		got, err := client.Get(made.UniqueIdentifier).Exec()
		if err != nil {
			return err
		}
		back, err := got.Object.(*kmip.PublicKey).ECDSA()
		if err == nil && !back.Equal(&key.PublicKey) {
			err = fmt.Errorf("another key came back")
		}
		return err
	}},
	{"a key that is not there is not found", 0, nil, func(client *kmipclient.Client) error {
		_, err := client.Get("00000000-0000-4000-8000-000000000000").Exec()
		return refused(err, kmip.ResultReasonItemNotFound)
	}},
	{"Query lists what is served", 0, nil, func(client *kmipclient.Client) error {
		response, err := client.Query().Operations().Objects().ServerInformation().Exec()
		if err == nil && (len(response.Operations) < 14 || len(response.ObjectType) < 5 || response.VendorIdentification == "") {
			err = fmt.Errorf("%d operations, %d object types, vendor %q", len(response.Operations), len(response.ObjectType), response.VendorIdentification)
		}
		return err
	}},
}

// since is when an attribute came into KMIP (each attribute's own section of the specifications).
var since = map[kmip.AttributeName]int32{
	kmip.AttributeNameFresh:                 1,
	kmip.AttributeNameOriginalCreationDate:  2,
	kmip.AttributeNameAlternativeName:       2,
	kmip.AttributeNameKeyValuePresent:       2,
	kmip.AttributeNameKeyValueLocation:      2,
	kmip.AttributeNameRandomNumberGenerator: 3,
	kmip.AttributeNamePKCS_12FriendlyName:   4,
	kmip.AttributeNameDescription:           4,
	kmip.AttributeNameComment:               4,
	kmip.AttributeNameSensitive:             4,
	kmip.AttributeNameAlwaysSensitive:       4,
	kmip.AttributeNameExtractable:           4,
	kmip.AttributeNameNeverExtractable:      4,
}

var gating = []check{
	{"no attribute newer than the version is told", 0, nil, func(client *kmipclient.Client) error {
		return aKey(client, func(id string) error {
			found, err := attributes(client, id)
			for name := range found {
				if since[name] > client.Version().ProtocolVersionMinor {
					return fmt.Errorf("%s is told at %v", name, client.Version())
				}
			}
			return err
		})
	}},
	{"the list of attributes names those that are told, and no others", 0, nil, func(client *kmipclient.Client) error {
		return aKey(client, func(id string) error {
			list, err := client.GetAttributeList(id).Exec()
			if err != nil {
				return err
			}
			found, err := attributes(client, id)
			for _, name := range list.AttributeName {
				if _, told := found[name]; !told {
					return fmt.Errorf("%s is listed and not told", name)
				}
			}
			return first(err, equal("number of attributes", len(list.AttributeName), len(found)))
		})
	}},
	{"attributes of the version are told with their types", 0, nil, func(client *kmipclient.Client) error {
		return aKey(client, func(id string) error {
			found, err := attributes(client, id)
			if err != nil {
				return err
			}
			for name, first := range since {
				automatic := name == kmip.AttributeNameFresh || name == kmip.AttributeNameOriginalCreationDate || name == kmip.AttributeNameSensitive
				if automatic && first <= client.Version().ProtocolVersionMinor && found[name] == nil {
					return fmt.Errorf("%s is missing", name)
				}
			}
			return nil
		})
	}},
	{"an attribute of a later version cannot be added", 0, nil, func(client *kmipclient.Client) error {
		if client.Version().ProtocolVersionMinor >= 4 {
			return nil
		}
		return aKey(client, func(id string) error {
			_, err := client.AddAttribute(id, kmip.AttributeNameComment, "hello").Exec()
			return refused(err, kmip.ResultReasonInvalidField, kmip.ResultReasonItemNotFound, kmip.ResultReasonPermissionDenied)
		})
	}},
}

var readOnly = func() []check {
	now := time.Now()
	values := []struct {
		name  kmip.AttributeName
		value any
	}{
		{kmip.AttributeNameUniqueIdentifier, "x"},
		{kmip.AttributeNameObjectType, kmip.ObjectTypeCertificate},
		{kmip.AttributeNameCryptographicAlgorithm, kmip.CryptographicAlgorithmRSA},
		{kmip.AttributeNameCryptographicLength, int32(128)},
		{kmip.AttributeNameState, kmip.StateActive},
		{kmip.AttributeNameInitialDate, now},
		{kmip.AttributeNameLastChangeDate, now},
		{kmip.AttributeNameDestroyDate, now},
		{kmip.AttributeNameCompromiseDate, now},
		{kmip.AttributeNameCompromiseOccurrenceDate, now},
		{kmip.AttributeNameRevocationReason, kmip.RevocationReason{RevocationReasonCode: kmip.RevocationReasonCodeUnspecified}},
		{kmip.AttributeNameDigest, kmip.Digest{HashingAlgorithm: kmip.HashingAlgorithmSHA_256, DigestValue: []byte{1}}},
	}
	made := []check{}
	for _, each := range values {
		made = append(made, check{fmt.Sprintf("%s is the server's: it is neither modified nor deleted", each.name), 0, nil, func(client *kmipclient.Client) error {
			return aKey(client, func(id string) error {
				_, err := client.ModifyAttribute(id, each.name, each.value).Exec()
				if err = refused(err, 0x03, kmip.ResultReasonInvalidField, kmip.ResultReasonPermissionDenied, kmip.ResultReasonItemNotFound, kmip.ResultReasonIllegalOperation); err != nil {
					return fmt.Errorf("modify: %w", err)
				}
				_, err = client.DeleteAttribute(id, each.name).Exec()
				return refused(err, 0x03, kmip.ResultReasonInvalidField, kmip.ResultReasonPermissionDenied, kmip.ResultReasonItemNotFound, kmip.ResultReasonIllegalOperation)
			})
		}})
	}
	return append(made, check{"an own attribute is added, modified, and deleted", 0, nil, func(client *kmipclient.Client) error {
		return aKey(client, func(id string) error {
			const own = kmip.AttributeName("x-team")
			if _, err := client.AddAttribute(id, own, "payments").Exec(); err != nil {
				return err
			}
			if _, err := client.ModifyAttribute(id, own, "ledger").Exec(); err != nil {
				return err
			}
			found, err := attributes(client, id, own)
			// The library gives values of own attributes with their tag.
			if err == nil && !strings.Contains(fmt.Sprint(found[own]), "ledger") {
				err = fmt.Errorf("x-team is %v", found[own])
			}
			if err != nil {
				return err
			}
			if _, err := client.DeleteAttribute(id, own).Exec(); err != nil {
				return err
			}
			found, err = attributes(client, id)
			return first(err, equal("x-team", found[own], nil))
		})
	}})
}()

var searching = []check{
	{"a key is located by its name, and by no other", 0, nil, func(client *kmipclient.Client) error {
		name := unique("findable")
		made, err := client.Create().AES(128, encryptDecrypt).WithName(name).Exec()
		if err != nil {
			return err
		}
		defer forget(client, made.UniqueIdentifier)
		found, err := client.Locate().WithName(name).Exec()
		if err = first(err, equal("found", found.UniqueIdentifier, []string{made.UniqueIdentifier})); err != nil {
			return err
		}
		none, err := client.Locate().WithName(name + "-other").Exec()
		return first(err, equal("found", len(none.UniqueIdentifier), 0))
	}},
	{"keys are located by type, algorithm, length and state together, at most as many as asked for", 0, nil, func(client *kmipclient.Client) error {
		ids := []string{}
		defer func() { forget(client, ids...) }()
		for range 3 {
			made, err := client.Create().AES(192, encryptDecrypt).WithName(unique("many")).Exec()
			if err != nil {
				return err
			}
			ids = append(ids, made.UniqueIdentifier)
		}
		found, err := client.Locate().WithMaxItems(2).WithObjectType(kmip.ObjectTypeSymmetricKey).
			WithAttribute(kmip.AttributeNameCryptographicAlgorithm, kmip.CryptographicAlgorithmAES).
			WithAttribute(kmip.AttributeNameCryptographicLength, int32(192)).
			WithAttribute(kmip.AttributeNameState, kmip.StatePreActive).Exec()
		return first(err, equal("found", len(found.UniqueIdentifier), 2))
	}},
	{"a name is given once", 0, nil, func(client *kmipclient.Client) error {
		name := unique("once")
		made, err := client.Create().AES(128, encryptDecrypt).WithName(name).Exec()
		if err != nil {
			return err
		}
		defer forget(client, made.UniqueIdentifier)
		_, err = client.Create().AES(128, encryptDecrypt).WithName(name).Exec()
		return refused(err, kmip.ResultReasonInvalidField, kmip.ResultReasonPermissionDenied)
	}},
}

var batches = []check{
	{"a batch is answered item by item, in order", 0, nil, func(client *kmipclient.Client) error {
		return aKey(client, func(id string) error {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			answers, err := client.Batch(ctx, &payloads.GetAttributeListRequestPayload{UniqueIdentifier: id}, &payloads.ActivateRequestPayload{UniqueIdentifier: id})
			if err = first(err, equal("answers", len(answers), 2)); err != nil {
				return err
			}
			return first(answers[0].Err(), answers[1].Err(), isInState(client, id, kmip.StateActive))
		})
	}},
	{"later items of a batch mean the object that an earlier one made", 0, nil, func(client *kmipclient.Client) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		template := kmip.TemplateAttribute{Attribute: []kmip.Attribute{
			{AttributeName: kmip.AttributeNameCryptographicAlgorithm, AttributeValue: kmip.CryptographicAlgorithmAES},
			{AttributeName: kmip.AttributeNameCryptographicLength, AttributeValue: int32(128)},
			{AttributeName: kmip.AttributeNameCryptographicUsageMask, AttributeValue: encryptDecrypt},
		}}
		answers, err := client.Batch(ctx, &payloads.CreateRequestPayload{ObjectType: kmip.ObjectTypeSymmetricKey, TemplateAttribute: template}, &payloads.ActivateRequestPayload{})
		if err = first(err, equal("answers", len(answers), 2)); err != nil {
			return err
		}
		if err := first(answers[0].Err(), answers[1].Err()); err != nil {
			return err
		}
		id := identifierOf(answers[0].ResponsePayload)
		defer forget(client, id)
		return isInState(client, id, kmip.StateActive)
	}},
	{"a batch stops at the item that fails", 0, nil, func(client *kmipclient.Client) error {
		return aKey(client, func(id string) error {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			absent := "00000000-0000-4000-8000-000000000000"
			answers, err := client.Batch(ctx, &payloads.ActivateRequestPayload{UniqueIdentifier: absent}, &payloads.ActivateRequestPayload{UniqueIdentifier: id})
			// The library takes an answer with fewer items than were asked for as an error of its own.
			if err != nil && !strings.Contains(err.Error(), "count mismatch") {
				return err
			}
			if len(answers) > 0 && answers[0].Err() == nil {
				return fmt.Errorf("the first item did not fail")
			}
			return first(isInState(client, id, kmip.StatePreActive))
		})
	}},
}

// active makes an active AES key with parameters for GCM.
func active(client *kmipclient.Client, work func(id string) error) error {
	return aKey(client, func(id string) error {
		if _, err := client.Activate(id).Exec(); err != nil {
			return err
		}
		return work(id)
	})
}

var gcm = kmip.CryptographicParameters{BlockCipherMode: kmip.BlockCipherModeGCM, TagLength: 16, RandomIV: ptr(true)}
var cbc = kmip.CryptographicParameters{BlockCipherMode: kmip.BlockCipherModeCBC, PaddingMethod: kmip.PaddingMethodPKCS5, RandomIV: ptr(true)}

func ptr[T any](value T) *T { return &value }

var cipher = []kmip.Operation{kmip.OperationEncrypt, kmip.OperationDecrypt}
var signing = []kmip.Operation{kmip.OperationCreateKeyPair, kmip.OperationSign, kmip.OperationSignatureVerify}

var cryptography = []check{
	{"what AES-CBC encrypts, it decrypts", 2, cipher, func(client *kmipclient.Client) error {
		return active(client, func(id string) error {
			sealed, err := client.Encrypt(id).WithCryptographicParameters(cbc).Data([]byte("plain text")).Exec()
			if err != nil {
				return err
			}
			back, err := client.Decrypt(id).WithCryptographicParameters(cbc).WithIvCounterNonce(sealed.IVCounterNonce).Data(sealed.Data).Exec()
			if err != nil {
				return err
			}
			return equal("decrypted", string(back.Data), "plain text")
		})
	}},
	{"what AES-GCM encrypts, it decrypts, and nothing else [1.4]", 4, cipher, func(client *kmipclient.Client) error {
		return active(client, func(id string) error {
			sealed, err := client.Encrypt(id).WithCryptographicParameters(gcm).WithAAD([]byte("bound")).Data([]byte("plain text")).Exec()
			if err != nil {
				return err
			}
			open := func(aad string) (*payloads.DecryptResponsePayload, error) {
				return client.Decrypt(id).WithCryptographicParameters(gcm).WithIvCounterNonce(sealed.IVCounterNonce).
					WithAAD([]byte(aad)).WithAuthTag(sealed.AuthenticatedEncryptionTag).Data(sealed.Data).Exec()
			}
			back, err := open("bound")
			if err != nil {
				return err
			}
			_, err = open("other")
			return first(equal("decrypted", string(back.Data), "plain text"), refused(err, kmip.ResultReasonCryptographicFailure))
		})
	}},
	{"a key encrypts only while it is active", 2, cipher, func(client *kmipclient.Client) error {
		return aKey(client, func(id string) error {
			_, err := client.Encrypt(id).WithCryptographicParameters(cbc).Data([]byte("plain text")).Exec()
			return refused(err, kmip.ResultReasonIllegalOperation, kmip.ResultReasonPermissionDenied)
		})
	}},
	{"a P-256 pair signs and verifies, and tells a changed message", 2, signing, func(client *kmipclient.Client) error {
		pair, err := client.CreateKeyPair().ECDSA(kmip.RecommendedCurveP_256, kmip.CryptographicUsageSign, kmip.CryptographicUsageVerify).Exec()
		if err != nil {
			return err
		}
		defer forget(client, pair.PrivateKeyUniqueIdentifier, pair.PublicKeyUniqueIdentifier)
		return signs(client, pair, kmip.CryptographicParameters{DigitalSignatureAlgorithm: kmip.DigitalSignatureAlgorithmECDSAWithSHA256})
	}},
	{"an RSA pair signs and verifies with PSS [1.4]", 4, signing, func(client *kmipclient.Client) error {
		pair, err := client.CreateKeyPair().RSA(2048, kmip.CryptographicUsageSign, kmip.CryptographicUsageVerify).Exec()
		if err != nil {
			return err
		}
		defer forget(client, pair.PrivateKeyUniqueIdentifier, pair.PublicKeyUniqueIdentifier)
		return signs(client, pair, kmip.CryptographicParameters{PaddingMethod: kmip.PaddingMethodPSS, HashingAlgorithm: kmip.HashingAlgorithmSHA_256, CryptographicAlgorithm: kmip.CryptographicAlgorithmRSA})
	}},
	{"a pair is linked both ways", 0, []kmip.Operation{kmip.OperationCreateKeyPair}, func(client *kmipclient.Client) error {
		pair, err := client.CreateKeyPair().ECDSA(kmip.RecommendedCurveP_384, kmip.CryptographicUsageSign, kmip.CryptographicUsageVerify).Exec()
		if err != nil {
			return err
		}
		defer forget(client, pair.PrivateKeyUniqueIdentifier, pair.PublicKeyUniqueIdentifier)
		found, err := attributes(client, pair.PrivateKeyUniqueIdentifier, kmip.AttributeNameLink)
		if err != nil {
			return err
		}
		link, ok := found[kmip.AttributeNameLink].(kmip.Link)
		if !ok {
			return fmt.Errorf("%T is no Link", found[kmip.AttributeNameLink])
		}
		return equal("linked", link.LinkedObjectIdentifier, pair.PublicKeyUniqueIdentifier)
	}},
	{"Re-key makes another key that takes the name over", 0, []kmip.Operation{kmip.OperationReKey}, func(client *kmipclient.Client) error {
		return active(client, func(id string) error {
			made, err := client.Rekey(id).Exec()
			if err != nil {
				return err
			}
			defer forget(client, made.UniqueIdentifier)
			if made.UniqueIdentifier == id {
				return fmt.Errorf("the identifier is the same")
			}
			before, err := attributes(client, id)
			if err != nil {
				return err
			}
			after, err := attributes(client, made.UniqueIdentifier)
			if err == nil && after[kmip.AttributeNameName] == nil {
				err = fmt.Errorf("the new key has no name")
			}
			return first(err, equal("old name", before[kmip.AttributeNameName], nil))
		})
	}},
	{"a lease is a length of time, not a number [Lease Time is an Interval]", 0, []kmip.Operation{kmip.OperationObtainLease}, func(client *kmipclient.Client) error {
		return active(client, func(id string) error {
			lease, err := client.ObtainLease(id).Exec()
			if err == nil && lease.LeaseTime <= 0 {
				err = fmt.Errorf("a lease of %v", lease.LeaseTime)
			}
			return err
		})
	}},
}

func signs(client *kmipclient.Client, pair *payloads.CreateKeyPairResponsePayload, parameters kmip.CryptographicParameters) error {
	for _, id := range []string{pair.PrivateKeyUniqueIdentifier, pair.PublicKeyUniqueIdentifier} {
		if _, err := client.Activate(id).Exec(); err != nil {
			return err
		}
	}
	message := []byte("message")
	signed, err := client.Sign(pair.PrivateKeyUniqueIdentifier).WithCryptographicParameters(parameters).Data(message).Exec()
	if err != nil {
		return err
	}
	verify := func(data []byte) (any, error) {
		answer, err := client.SignatureVerify(pair.PublicKeyUniqueIdentifier).WithCryptographicParameters(parameters).Data(data).Signature(signed.SignatureData).Exec()
		if err != nil {
			return nil, err
		}
		return answer.ValidityIndicator, nil
	}
	valid, err := verify(message)
	if err = first(err, equal("validity", valid, kmip.ValidityIndicatorValid)); err != nil {
		return err
	}
	other := sha256.Sum256(message)
	invalid, err := verify(other[:])
	return first(err, equal("validity", invalid, kmip.ValidityIndicatorInvalid))
}

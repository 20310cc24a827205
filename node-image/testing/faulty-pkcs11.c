/*
 * A PKCS#11 library that passes every call to SoftHSM, except that C_EncryptInit for AES-GCM answers as a file orders: the one named
 * by KEYFLEET_FAULT holds "<return value> <times>"; and C_GenerateKeyPair as that of the same name with ".pair" does, C_GenerateKey
 * that with ".key". The return value HANGS never comes back. That is how tests take a token away without touching it.
 * Build: cc -shared -fPIC -I node_modules/pkcs11js/includes faulty-pkcs11.c -o libsofthsm2-faulty.so
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <pkcs11/pkcs11.h>

#define HANGS 0xffffffff

static CK_FUNCTION_LIST functions;
static CK_C_EncryptInit real_encrypt_init;
static CK_C_GenerateKeyPair real_generate_key_pair;
static CK_C_GenerateKey real_generate_key;

static CK_RV ordered_fault(const char *kind) {
  const char *given = getenv("KEYFLEET_FAULT");
  char path[4096];
  unsigned long value = 0;
  int times = 0;
  if (!given || snprintf(path, sizeof path, "%s%s", given, kind) >= (int)sizeof path) return CKR_OK;
  FILE *file = fopen(path, "r");
  if (!file) return CKR_OK;
  if (fscanf(file, "%lu %d", &value, &times) != 2) times = 0;
  fclose(file);
  if (times < 1) return CKR_OK;
  file = fopen(path, "w");
  if (file) {
    fprintf(file, "%lu %d", value, times - 1);
    fclose(file);
  }
  while (value == HANGS) sleep(1);
  return value;
}

static CK_RV encrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  CK_RV fault = mechanism->mechanism == CKM_AES_GCM ? ordered_fault("") : CKR_OK;
  return fault == CKR_OK ? real_encrypt_init(session, mechanism, key) : fault;
}

static CK_RV generate_key_pair(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR public_template,
                               CK_ULONG public_count, CK_ATTRIBUTE_PTR private_template, CK_ULONG private_count,
                               CK_OBJECT_HANDLE_PTR public_key, CK_OBJECT_HANDLE_PTR private_key) {
  CK_RV fault = ordered_fault(".pair");
  if (fault != CKR_OK) return fault;
  return real_generate_key_pair(session, mechanism, public_template, public_count, private_template, private_count,
                                public_key, private_key);
}

static CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR template, CK_ULONG count,
                          CK_OBJECT_HANDLE_PTR key) {
  CK_RV fault = ordered_fault(".key");
  return fault == CKR_OK ? real_generate_key(session, mechanism, template, count, key) : fault;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  void *library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW);
  CK_C_GetFunctionList real = library ? (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList") : 0;
  CK_FUNCTION_LIST_PTR original;
  if (!real || real(&original) != CKR_OK) return CKR_GENERAL_ERROR;
  functions = *original;
  real_encrypt_init = original->C_EncryptInit;
  functions.C_EncryptInit = encrypt_init;
  real_generate_key_pair = original->C_GenerateKeyPair;
  functions.C_GenerateKeyPair = generate_key_pair;
  real_generate_key = original->C_GenerateKey;
  functions.C_GenerateKey = generate_key;
  *list = &functions;
  return CKR_OK;
}

#include "cdocuments.h"
#include <string.h>

// #embed is C23's; the compiler that comes with Swift has it for every version of C.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char clouds[] = {
#embed "../../../api/clouds.yaml"
};
static const unsigned char identity[] = {
#embed "../../../api/identity.yaml"
};
static const unsigned char licensing[] = {
#embed "../../../api/licensing.yaml"
};
static const unsigned char migration[] = {
#embed "../../../api/migration.yaml"
};
static const unsigned char operations[] = {
#embed "../../../api/operations.yaml"
};
static const unsigned char status[] = {
#embed "../../../api/status.yaml"
};

static const struct godwit_document documents[] = {
  {"clouds", clouds, sizeof clouds},
  {"identity", identity, sizeof identity},
  {"licensing", licensing, sizeof licensing},
  {"migration", migration, sizeof migration},
  {"operations", operations, sizeof operations},
  {"status", status, sizeof status},
};

const struct godwit_document *godwit_document_named(const char *name) {
  for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++)
    if (strcmp(documents[i].name, name) == 0) return &documents[i];
  return NULL;
}

#ifndef CDOCUMENTS_H
#define CDOCUMENTS_H
#include <stddef.h>

/// A document of api/, as it was when the program was built.
struct godwit_document {
  const char *name;
  const unsigned char *bytes;
  size_t length;
};

/// The document api/NAME.yaml; NULL where there is none.
const struct godwit_document *godwit_document_named(const char *name);

#endif

/* jansson (Debian: libjansson-dev), a JSON library. */
#include <jansson.h>

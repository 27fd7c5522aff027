/* libslirp (Debian: libslirp-dev), a TCP/IP stack as a library. Its header is all that is needed; pkg-config is not. */
#include <slirp/libslirp.h>

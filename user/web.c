/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Reads the files of TLS whole, within a bound, and hands them on. The key is wiped from memory once it is handed on. Refuses
 * to know what is in them: auth and the endpoint's TLS do.
 */
#include "web.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "auth.h"
#include "file.h"
#include "util.h"

/* A chain of four certificates with RSA keys of 4,096 bits is below 10 KiB. */
#define PEM_BYTES_MAX (256 * 1024)

struct pem {
	size_t len;
	char bytes[PEM_BYTES_MAX];
};

static void pem_free(struct pem **pem)
{
	if (*pem)
		explicit_bzero((*pem)->bytes, sizeof((*pem)->bytes));
	free(*pem);
}

#define _cleanup_pem_ __attribute__((cleanup(pem_free)))

static int pem_read(struct pem **ret, const char *path, bool secret, char *why, size_t why_size)
{
	_cleanup_pem_ struct pem *pem = calloc(1, sizeof(*pem));
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;
	int err;

	if (!pem) {
		snprintf(why, why_size, "no memory to read %s", path);
		return -ENOMEM;
	}
	err = file_open(path, &fd, &st, why, why_size);
	if (err)
		return err;
	if (secret && (st.st_mode & S_IRWXO)) {
		snprintf(why, why_size,
			 "%s holds a private key and is open to everybody: chmod o= %s", path,
			 path);
		return -EACCES;
	}
	n = file_read(fd, pem->bytes, sizeof(pem->bytes));
	if (n < 0) {
		snprintf(why, why_size, "cannot read %s: %s", path, strerror((int)-n));
		return (int)n;
	}
	pem->len = (size_t)n;
	if (pem->len == sizeof(pem->bytes)) {
		snprintf(why, why_size, "%s is longer than %d bytes", path, PEM_BYTES_MAX - 1);
		return -EFBIG;
	}
	*ret = pem;
	pem = NULL;
	return 0;
}

static int load_tls(struct http *http, const struct options *options, char *why, size_t why_size)
{
	_cleanup_pem_ struct pem *cert = NULL, *key = NULL;
	char detail[256];
	int err;

	err = pem_read(&cert, options->cert_file, false, why, why_size);
	if (!err)
		err = pem_read(&key, options->key_file, true, why, why_size);
	if (err)
		return err;
	err = http_set_tls(http, cert->bytes, cert->len, key->bytes, key->len, detail,
			   sizeof(detail));
	if (err)
		snprintf(why, why_size, "--web.tls.cert-file %s with --web.tls.key-file %s: %s",
			 options->cert_file, options->key_file, detail);
	return err;
}

int web_load(struct http *http, const struct options *options, char *why, size_t why_size)
{
	struct auth *auth = NULL;
	int err;

	err = auth_load(&auth, options->token_files, options->token_file_count, why, why_size);
	if (!err && options->cert_file)
		err = load_tls(http, options, why, why_size);
	if (err) {
		auth_free(auth);
		return err;
	}
	http_set_auth(http, auth);
	return 0;
}

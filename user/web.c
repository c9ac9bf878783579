/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Reads files whole, within a bound, and hands them on. The key is wiped from memory once it is handed on. Refuses to know
 * what is in them: auth and the endpoint's TLS do.
 */
#include "web.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth.h"
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
		explicit_bzero((*pem)->bytes, (*pem)->len);
	free(*pem);
}

#define _cleanup_pem_ __attribute__((cleanup(pem_free)))

static int cannot_read(const char *path, int err, char *why, size_t why_size)
{
	const char *hint = "";

	if (err == -EACCES)
		hint = " (without capabilities, which are given up by now, also root reads only what the file's mode allows)";
	snprintf(why, why_size, "cannot read %s as user %u: %s%s", path, (unsigned int)geteuid(),
		 strerror(-err), hint);
	return err;
}

static int pem_read(struct pem **ret, const char *path, bool secret, char *why, size_t why_size)
{
	_cleanup_pem_ struct pem *pem = calloc(1, sizeof(*pem));
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;

	if (!pem)
		return cannot_read(path, -ENOMEM, why, why_size);
	/* O_NONBLOCK: a FIFO must not stop the loop */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return cannot_read(path, -errno, why, why_size);
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, why_size, "%s is no regular file", path);
		return -EINVAL;
	}
	if (secret && (st.st_mode & S_IRWXO)) {
		snprintf(why, why_size,
			 "%s holds a private key and is open to everybody: chmod o= %s", path,
			 path);
		return -EACCES;
	}
	do {
		n = read(fd, pem->bytes + pem->len, sizeof(pem->bytes) - pem->len);
		if (n < 0 && errno != EINTR)
			return cannot_read(path, -errno, why, why_size);
		pem->len += n > 0 ? (size_t)n : 0;
	} while (n);
	if (pem->len == sizeof(pem->bytes))
		return cannot_read(path, -EFBIG, why, why_size);
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

/*
 * Key file and HMAC.  Each key keeps its prepared HMAC state, from which a
 * token's MAC begins: this is the dearest step of a poll.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nettle/hmac.h>

#include "ticket_bytes.h"
#include "ticket_keys.h"

#define SECRET_MIN 32
#define SECRET_MAX 64
#define LINE_LEN   512

typedef struct {
    uint16_t id;
    struct hmac_sha256_ctx hmac;
} ticket_key_t;

struct ticket_keys_s {
    size_t n;
    ticket_key_t key[TICKET_KEYS_MAX];
};

static int fail(char *err, size_t err_len, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(char *err, size_t err_len, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(err, err_len, fmt, args);
    va_end(args);

    return -1;
}

static const ticket_key_t *find_key(const ticket_keys_t *keys, uint16_t id)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (keys->key[i].id == id) {
            return &keys->key[i];
        }
    }

    return NULL;
}

/* Prepares the next key.  The secret stays the caller's. */
static void add_key(ticket_keys_t *keys, uint16_t id,
                    const unsigned char *secret, size_t len)
{
    ticket_key_t *key = &keys->key[keys->n++];

    key->id = id;
    hmac_sha256_set_key(&key->hmac, len, secret);
}

/* Bytes read into secret, or 0 when the digits are not a fitting secret. */
static size_t read_secret(const char *hex, unsigned char secret[SECRET_MAX])
{
    size_t digits = strlen(hex);

    if (digits % 2 || digits < 2 * SECRET_MIN || digits > 2 * SECRET_MAX) {
        return 0;
    }

    if (ticket_get_hex(secret, hex, digits / 2) != 0) {
        return 0;
    }

    return digits / 2;
}

static int read_line(ticket_keys_t *keys, char *line, int number, char *err,
                     size_t err_len)
{
    unsigned char secret[SECRET_MAX];
    char *rest, *id_end, *save;
    char *word = strtok_r(line, " \t\r\n", &save);

    if (word == NULL || *word == '#') {
        return 0;
    }

    unsigned long id = strtoul(word, &id_end, 10);
    if (*word < '0' || *word > '9' || *id_end || id < 1 || id > 65535) {
        return fail(err, err_len, "line %d: a key id is a number, 1 to 65535",
                    number);
    }

    if (find_key(keys, (uint16_t)id) != NULL) {
        return fail(err, err_len, "line %d: key id %lu appears twice", number,
                    id);
    }

    if (keys->n == TICKET_KEYS_MAX) {
        return fail(err, err_len, "line %d: more than %d keys", number,
                    TICKET_KEYS_MAX);
    }

    word = strtok_r(NULL, " \t\r\n", &save);
    rest = word ? strtok_r(NULL, " \t\r\n", &save) : NULL;
    size_t len = word && !rest ? read_secret(word, secret) : 0;
    if (len == 0) {
        return fail(err, err_len,
                    "line %d: after the id comes one secret of %d to %d "
                    "hexadecimal digits",
                    number, 2 * SECRET_MIN, 2 * SECRET_MAX);
    }

    add_key(keys, (uint16_t)id, secret, len);
    explicit_bzero(secret, sizeof(secret));

    return 0;
}

static int read_file(ticket_keys_t *keys, FILE *file, char *err, size_t err_len)
{
    char line[LINE_LEN];
    struct stat st;
    int number = 0, rc = 0;

    if (fstat(fileno(file), &st) != 0) {
        return fail(err, err_len, "%s", strerror(errno));
    }

    if (!S_ISREG(st.st_mode)) {
        return fail(err, err_len, "not a regular file");
    }

    if (st.st_mode & S_IROTH) {
        return fail(err, err_len,
                    "everybody may read it; run \"chmod o-rwx\" on it");
    }

    while (rc == 0 && fgets(line, sizeof(line), file) != NULL) {
        number++;
        rc = strlen(line) == sizeof(line) - 1
                 ? fail(err, err_len, "line %d is too long", number)
                 : read_line(keys, line, number, err, err_len);
    }

    explicit_bzero(line, sizeof(line));

    if (rc == 0 && keys->n == 0) {
        return fail(err, err_len, "it holds no key");
    }

    return rc;
}

ticket_keys_t *ticket_keys_load(const char *path, char *err, size_t err_len)
{
    ticket_keys_t *keys;
    /* O_NONBLOCK, or opening a FIFO would wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

    if (file == NULL) {
        fail(err, err_len, "%s", strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }

    /* Unbuffered, or stdio would keep a copy of the secrets. */
    setvbuf(file, NULL, _IONBF, 0);

    keys = calloc(1, sizeof(*keys));

    if (keys == NULL) {
        fail(err, err_len, "no memory");
    } else if (read_file(keys, file, err, err_len) != 0) {
        ticket_keys_free(keys);
        keys = NULL;
    }

    fclose(file);

    return keys;
}

void ticket_keys_free(ticket_keys_t *keys)
{
    if (keys != NULL) {
        explicit_bzero(keys, sizeof(*keys));
        free(keys);
    }
}

uint16_t ticket_keys_signing_id(const ticket_keys_t *keys)
{
    return keys->key[0].id;
}

int ticket_keys_mac(const ticket_keys_t *keys, uint16_t id,
                    const ticket_part_t *parts, size_t n,
                    unsigned char mac[TICKET_MAC_LEN])
{
    const ticket_key_t *key = find_key(keys, id);

    if (key == NULL) {
        return -1;
    }

    struct hmac_sha256_ctx hmac = key->hmac;

    for (size_t i = 0; i < n; i++) {
        if (parts[i].len != 0) {
            hmac_sha256_update(&hmac, parts[i].len, parts[i].data);
        }
    }

    hmac_sha256_digest(&hmac, TICKET_MAC_LEN, mac);

    return 0;
}

#include "ctl/client.h"
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "ctl/jget.h"
#include "model/words.h"

enum { ANSWER_BYTES_MAX = 64 << 20, CONNECT_MS = 3000, CALL_MS = 60000, RESTART_MS = 2000, RETRY_MS = 20 };

struct client { const struct paths *paths; CURL *curl; struct strbuf answer; json_t *errors; };

struct client *client_new(const struct paths *p)
{
    struct client *c = xcalloc(1, sizeof *c);
    c->paths = p;
    return c;
}

void client_free(struct client *c)
{
    if (!c) return;
    if (c->curl) curl_easy_cleanup(c->curl);
    strbuf_done(&c->answer);
    json_decref(c->errors);
    free(c);
}

const json_t *client_errors(const struct client *c) { return c->errors; }

static size_t take_answer(char *data, size_t size, size_t n, void *arg)
{
    struct client *c = arg;
    if (c->answer.len + size * n > ANSWER_BYTES_MAX) return 0;
    strbuf_add(&c->answer, data, size * n);
    return size * n;
}

static int set_up(struct client *c, struct err *e)
{
    if (c->curl) return 0;
    if (curl_global_init(CURL_GLOBAL_NOTHING) != 0 || !(c->curl = curl_easy_init())) return err_set(e, -ENOMEM, "libcurl does not start");
    curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->paths->socket);
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_PROXY, "");           /* http_proxy must not see what is said on this machine */
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)CALL_MS);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
    return 0;
}

static int not_reached(struct client *c, CURLcode code, struct err *e)
{
    long os = 0;
    curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &os);
    if (os == EACCES || os == EPERM)
        return err_set(e, -EACCES, "%s is not open to you: root may use it, and the user who started muster or, where it is a service, members of its group (muster)",
                       c->paths->socket);
    if (code == CURLE_COULDNT_CONNECT)
        return err_set(e, -ECONNREFUSED, "no muster runs here (%s)", c->paths->socket);
    if (code == CURLE_OPERATION_TIMEDOUT) return err_set(e, -ETIMEDOUT, "musterd does not answer (%s)", c->paths->socket);
    return err_set(e, -ECONNRESET, "musterd ended the connection: %s", curl_easy_strerror(code));
}

static int status_to_errno(long status)
{
    switch (status) {
    case 400: case 413: return -EINVAL;
    case 403: return -EACCES;
    case 404: return -ENOENT;
    case 409: return -EBUSY;
    default: return -EIO;
    }
}

static int read_answer(struct client *c, json_t **ret, struct err *e)
{
    long status = 0;
    json_error_t je;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    cleanup_json json_t *j = json_loadb(strbuf_str(&c->answer), c->answer.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
    if (status < 200 || status > 299) {
        const char *text = jget_str(j, "error");
        c->errors = json_incref(json_object_get(j, "errors"));
        return *text ? err_set(e, status_to_errno(status), "%s", text) : err_set(e, status_to_errno(status), "musterd answered %ld", status);
    }
    if (!j) return err_set(e, -EIO, "musterd's answer is not JSON: %s", je.text);
    if (ret) *ret = TAKE(j);
    return 0;
}

/* A keeper lives, so a musterd that does not listen is just being started again. */
static bool keeper_lives(const struct paths *p)
{
    cleanup_free char *lock = xasprintf("%s/keeper.pid", p->run);
    cleanup_close int fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* Where no connection came about nothing was asked yet: asking again does nothing twice. */
static CURLcode perform(struct client *c)
{
    CURLcode code = curl_easy_perform(c->curl);
    for (int ms = 0; code == CURLE_COULDNT_CONNECT && ms < RESTART_MS && keeper_lives(c->paths); ms += RETRY_MS) {
        nanosleep(&(struct timespec){ .tv_nsec = RETRY_MS * 1000000L }, NULL);
        code = curl_easy_perform(c->curl);
    }
    return code;
}

int client_call(struct client *c, const char *method, const char *path, const json_t *body, json_t **ret, struct err *e)
{
    int r = set_up(c, e);
    if (r < 0) return r;
    cleanup_free char *url = xasprintf("http://musterd%s", path);
    cleanup_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    strbuf_reset(&c->answer);
    json_decref(c->errors);
    c->errors = NULL;
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    if (strcmp(method, "GET") == 0) {
        curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, NULL);
    } else {
        curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)(text ? strlen(text) : 0));
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, text ? text : "");
    }
    CURLcode code = perform(c);
    r = code == CURLE_OK ? read_answer(c, ret, e) : not_reached(c, code, e);
    curl_slist_free_all(headers);
    return r;
}

bool client_alive(const struct paths *p)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (!fixed_copy(a.sun_path, sizeof a.sun_path, p->socket)) return false;
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
}

int client_exit_status(int rc)
{
    switch (rc) {
    case 0: return EXIT_DONE;
    case -EINVAL: return EXIT_USAGE;
    case -ENOENT: return EXIT_NO_SUCH;
    case -EBUSY: return EXIT_REFUSED;
    case -EACCES: case -ECONNREFUSED: case -ECONNRESET: return EXIT_UNREACHABLE;
    case -ETIMEDOUT: return EXIT_TIMED_OUT;
    default: return EXIT_FAILED;
    }
}

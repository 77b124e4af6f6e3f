/* haproxy_conf.h - the configuration of one HAProxy (2.6), and the server-state file it starts from, as text.
 *
 * Pure: equal inputs give equal texts. What is given is borrowed; texts returned are to be freed.
 * A service `api` is a backend `api`, reached through a backend `_api` of the same process (docs/decisions/0004-inner-hop.md); its instance
 * api.3 is the server `api.3` there, so statistics and log lines name instances by themselves. Servers are slots: as many as the upstream says,
 * all there from the start, out of service (maint) until used. What differs between two wanted sets only by the runtime API (who is in a slot,
 * its address and state, maxconn) changes no signature.
 * Each value of a user goes in single quotes; one that cannot be quoted (a control character) is refused. Only `raw` is taken as it is. */
#pragma once
#include "model/desired.h"

struct hap_paths {
    const char *stats_socket, *log_socket, *state_file;
    const char *hop;                        /* what the paths of the sockets inside begin with: HOP.1.sock and HOP.2.sock */
    uint32_t stats_uid, stats_gid;          /* who may speak to the stats socket */
    const char *user, *group;               /* what HAProxy changes to; NULL: it stays */
    bool apart;                             /* it is no user that could change, but one of its own in our group; its certificate is $CREDENTIALS_DIRECTORY/tls */
    uint32_t listen_fd;
    uint64_t files;                         /* descriptors that HAProxy may have; 0: enough */
};
/* So long a HAProxy told to end goes on taking connections; what it has taken inside, it finishes. From the order on it goes no more by the hop. */
enum { HAP_GRACE_MS = 100 };
enum { HAP_HOSTS_MAX = 1000, HAP_PATH_MAX = 1000, HAP_SLOTS_MAX = INSTANCES_MAX };

/* -EINVAL and e: a value that cannot be expressed. */
int hap_conf_text(const struct balancer_desired *d, const struct hap_paths *p, char **ret, struct err *e);
/* A number that changes when, and only when, a new HAProxy is needed for d to take effect. Never 0. -EINVAL as above. */
int hap_conf_signature(const struct balancer_desired *d, const struct hap_paths *p, uint64_t *ret, struct err *e);
/* The signature that a text made by hap_conf_text carries in its first line; 0: none. */
uint64_t hap_conf_signature_of_text(const char *text);
/* What HAProxy loads at its start (load-server-state-from-file): ports and states of the slots in use. */
char *hap_state_text(const struct balancer_desired *d);

/* The slot of an instance in its service's backend: 3 for "api.3" of "api"; 0: not an id of that service, or above HAP_SLOTS_MAX. */
uint32_t hap_slot_of(const char *id, const char *service);
/* Slots to provide: those wanted, those that present instances need, and at least `present` (a running HAProxy is not reloaded to have less). */
uint32_t hap_slots(const struct upstream *u, uint32_t present);
bool hap_address_ok(const char *address);   /* a numeric IPv4 or IPv6 address */

/* news.h - what the controller is to be told: gathered while a round of the loop goes on, sent at its end, so that acting comes first and
 * what happened in one round goes out together. Events go out in their order, before the statuses.
 *
 * Bounded: NEWS_EVENTS_MAX events and as many changed instances; at the bound what is there is sent at once. Without a controller events are
 * only logged, and statuses wait for the full one that each connection begins with. */
#pragma once
#include "agent/core.h"
#include "agent/uplink.h"

enum { NEWS_EVENTS_MAX = 512, NEWS_CHANGED_MAX = 8192 };
struct news;
struct news *news_new(const struct agent_core *core);
void news_free(struct news *n);
void news_uplink(struct news *n, struct uplink *u);         /* borrowed; before that there is nobody to tell */
void news_changed(struct news *n, const char *id);          /* its status */
void news_gone(struct news *n);                             /* an instance is gone from the core: only a full status can tell that */
void news_event(struct news *n, int level, const char *kind, const char *subject, const char *text);
void news_flush(struct news *n);                            /* before the loop sleeps */
void news_full(struct news *n);                             /* the status of all, now: to a controller that has just come */

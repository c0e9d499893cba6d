/* cli.h - the command's parts: talk on stderr, help and the manual from the verbs' tables. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "slipway/slipway.h"

void help_overview(void);
void help_verb(const slip_verb *v);
void help_man(void); /* roff on standard output */

void talk_diagnostic(const slip_diagnostic *d, void *ctx);
void talk_progress(const char *what, uint64_t done, uint64_t total, void *ctx);
void talk_end(void); /* wipe a progress line that is still shown */

#endif

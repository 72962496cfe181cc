/* Lines of the log for the program that uses the library: see log.h. */
#include <stdatomic.h>

#include "base/log.h"
#include "lib/lib.h"

_Static_assert(DS_LOG_ERROR == (int)LOG_ERR_ && DS_LOG_WARNING == (int)LOG_WARN_ &&
                   DS_LOG_INFO == (int)LOG_INFO_ && DS_LOG_DEBUG == (int)LOG_DEBUG_,
               "the public levels are those of log.h");

/* Changed only while log_hold() keeps every line back. */
static ds_log_fn *user_fn;
static void *user_arg;

static void pass_line(void *arg, enum log_level level, const char *message)
{
    (void)arg;
    user_fn(user_arg, (enum ds_log_level)level, message);
}

void ds_set_log(ds_log_fn *fn, void *arg)
{
    lib_prepare_process();
    if (!fn) {
        log_set_function(NULL, NULL);
        return;
    }
    log_hold();
    user_fn = fn;
    user_arg = arg;
    log_let_go();
    log_set_function(pass_line, NULL);
}

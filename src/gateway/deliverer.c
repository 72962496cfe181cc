/* Finding the program that delivers webhooks: see deliverer.h. */
#include "gateway/deliverer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config_environment.h"
#include "config/paths.h"

#define DELIVERER "durable-streams-deliver"

enum { PATH_SIZE = 4096 + sizeof "/" DELIVERER };

static bool is_program_in(const char *folder, char path[static PATH_SIZE])
{
    int len = snprintf(path, PATH_SIZE, "%s/" DELIVERER, folder);

    return len > 0 && len < PATH_SIZE && access(path, X_OK) == 0;
}

static bool find_deliverer(char path[static PATH_SIZE])
{
    const char *folder = config_libexec_folder();
    char self[4096], *slash;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    self[len > 0 ? len : 0] = '\0';
    slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    return (slash && is_program_in(self, path)) ||
           is_program_in(folder ? folder : paths_libexec, path);
}

bool deliverer_is_here(void)
{
    char path[PATH_SIZE];

    return find_deliverer(path);
}

void deliverer_become(bool once)
{
    char path[PATH_SIZE];

    if (find_deliverer(path))
        (void)execl(path, DELIVERER, once ? "--once" : (char *)NULL, (char *)NULL);
}

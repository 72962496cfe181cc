/* dsctl: only main() is here, so that tests can link all of src/cli. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}

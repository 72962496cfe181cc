#!/usr/bin/perl
# Acts as the service manager of a socket-activated service, for tests on machines without one:
#
#   perl activate.pl SOCKET[,NAME=SOCKET ...] PROGRAM ARGUMENT ...
#
# Listens on the sockets, passes them to the program as descriptors 3, 4, ... (sd_listen_fds(3)), and
# restarts the program whenever it ends. Meanwhile the sockets stay open, and new connections wait.
# HUP restarts the program; TERM ends both.
use strict;
use warnings;
use IO::Socket::UNIX;
use POSIX ();

my ($list, @program) = @ARGV;
my (@paths, @names, @sockets);
$^F = 100;    # descriptors up to 100 stay open in the program
for (split /,/, $list) {
    my ($name, $path) = /^([\w.-]+)=(.*)/ ? ($1, $2) : ('durable-streams.socket', $_);
    my $socket = IO::Socket::UNIX->new(Local => $path, Type => SOCK_STREAM, Listen => 4096)
        or die "cannot listen on $path: $!\n";
    push @names, $name;
    push @paths, $path;
    # above the numbers that the program gets
    push @sockets, POSIX::dup2(fileno($socket), 50 + @sockets) // die "dup2: $!\n";
}
my ($pid, $over) = (0, 0);

$SIG{HUP}  = sub { kill TERM => $pid if $pid };
$SIG{TERM} = sub { $over = 1; kill TERM => $pid if $pid };
while (!$over) {
    $pid = fork // die "cannot fork: $!\n";
    if ($pid == 0) {
        $SIG{HUP} = $SIG{TERM} = 'DEFAULT';
        POSIX::dup2($sockets[$_], 3 + $_) or die "dup2: $!\n" for 0 .. $#sockets;
        POSIX::close($_) for @sockets;
        @ENV{qw(LISTEN_FDS LISTEN_PID LISTEN_FDNAMES)} = (scalar @sockets, $$, join ':', @names);
        # the program ends with this script, whatever ends the script
        unshift @program, qw(setpriv --pdeathsig TERM) if -x '/usr/bin/setpriv';
        exec @program or die "cannot start $program[0]: $!\n";
    }
    1 while waitpid($pid, 0) < 0 && $!{EINTR};
    select undef, undef, undef, 0.1 unless $over;    # a pause, in case the program ends at once
}
unlink @paths;

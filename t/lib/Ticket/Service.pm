package Ticket::Service;

# One server process that a test started: its process, its log, its end.
# Every server the harness knows (Redis, nginx, MariaDB, the worker) is one of
# these.  The list of all that were launched lives here, so that Ticket::Test
# can stop them whatever way the test ends, and ask each what went wrong;
# should the test itself be killed with -9, the kernel ends them (setpriv
# --pdeathsig).

use strict;
use warnings;

use Config ();
use IO::Socket::UNIX;
use POSIX ();
use Time::HiRes ();

my %SIGNAL;
@SIGNAL{split ' ', $Config::Config{sig_name}} = split ' ', $Config::Config{sig_num};

my @launched;    # in order of launch
my $owner = $$;

# Starts a server.  Keys of %args: name, command (array), env (hash, undef
# removes a variable), log (file for stdout and stderr), stop_signal (default
# TERM), stop_seconds (default 20).
sub launch {
    my ($class, %args) = @_;
    return $class->create(%args)->spawn;
}

# The same without starting it yet.
sub create {
    my ($class, %args) = @_;
    my $self = bless {stop_signal => 'TERM', stop_seconds => 20, problems => [], %args}, $class;
    push @launched, $self;
    return $self;
}

# Starts the command; also used to start a stopped service again.
sub spawn {
    my ($self) = @_;
    my @command = ('setpriv', '--pdeathsig', 'TERM', @{$self->{command}});
    # A stop that comes at once must not meet the test's own handlers.
    my $held = POSIX::SigSet->new(map { $SIGNAL{$_} } qw(INT TERM HUP QUIT));
    POSIX::sigprocmask(POSIX::SIG_BLOCK(), $held);
    my $pid = fork() // die "fork: $!\n";
    $self->_become if $pid == 0;
    POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $held);
    if ($pid == 0) {
        { no warnings 'exec'; exec {$command[0]} @command; }
        print {*STDERR} "cannot run $command[0]: $!\n";
        POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    delete @{$self}{qw(status ending)};
    return $self;
}

# In the child: descriptors and environment of the server to be.
sub _become {
    my ($self) = @_;
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP QUIT PIPE);
    open STDIN,  '<',  '/dev/null'   or POSIX::_exit(126);
    open STDOUT, '>>', $self->{log}  or POSIX::_exit(126);
    open STDERR, '>&', \*STDOUT      or POSIX::_exit(126);
    my $env = $self->{env} // {};
    for my $name (keys %$env) {
        if   (defined $env->{$name}) { $ENV{$name} = $env->{$name} }
        else                         { delete $ENV{$name} }
    }
    return;
}

sub pid { return $_[0]{pid} }

# True while the process runs; reaps it when it ended.  To end unasked is a
# problem.
sub alive {
    my ($self) = @_;
    return 0 if !$self->{pid};
    my $got = waitpid $self->{pid}, POSIX::WNOHANG();
    return 1 if $got == 0;
    $self->{status} = $got == $self->{pid} ? $? : -1;
    delete $self->{pid};
    $self->problem("ended by itself with status $self->{status}") if !$self->{ending};
    return 0;
}

# Notes what the test must fail for.
sub problem {
    my ($self, $what) = @_;
    push @{$self->{problems}}, "$self->{name}: $what";
    return;
}

# Waits until the condition holds; dies with the log's tail when the process
# ends before or time runs out.
sub await {
    my ($self, $condition, $seconds, $what) = @_;
    my $deadline = Time::HiRes::time() + $seconds;
    until ($condition->()) {
        $self->alive
            or die "$self->{name} ended before $what:\n" . $self->log_tail;
        Time::HiRes::time() < $deadline
            or die "$self->{name}: no $what in $seconds s:\n" . $self->log_tail;
        Time::HiRes::sleep(0.005);
    }
    return $self;
}

# Sends the stop signal and waits.  A process that does not go is killed, and
# that is a problem (see problems), as is any status but 0 and, for one that
# leaves the signal to the kernel, that signal's.
sub stop {
    my ($self) = @_;
    return if !$self->alive;
    $self->{ending} = 1;
    kill $self->{stop_signal}, $self->{pid};
    if (!$self->_gone($self->{stop_seconds})) {
        $self->problem("did not stop in $self->{stop_seconds} s");
        $self->kill9;
    }
    elsif ($self->{status} && $self->{status} != $SIGNAL{$self->{stop_signal}}) {
        $self->problem("stopped with status $self->{status}");
    }
    return;
}

sub kill9 {
    my ($self) = @_;
    return if !$self->alive;
    $self->{ending} = 1;
    kill 'KILL', $self->{pid};
    $self->_gone(10) or die "$self->{name} survives SIGKILL\n";
    return;
}

sub _gone {
    my ($self, $seconds) = @_;
    my $deadline = Time::HiRes::time() + $seconds;
    while ($self->alive) {
        return 0 if Time::HiRes::time() > $deadline;
        Time::HiRes::sleep(0.005);
    }
    return 1;
}

# What the test must fail for; asked after the stop.  A server with further
# rules adds its own findings by overriding findings.
sub problems {
    my ($self) = @_;
    return @{$self->{problems}}, map { "$self->{name}: $_" } $self->findings;
}

# Lines of the log that must not be there: sanitizers' reports.
sub findings {
    my ($self) = @_;
    return grep { /ERROR: AddressSanitizer|runtime error:|LeakSanitizer/ }
        split /\n/, $self->log_text;
}

sub log_text { return slurp($_[0]{log}) }

sub log_tail {
    my ($self, $lines) = @_;
    my @all = split /^/, $self->log_text;
    my $from = @all - ($lines // 20);
    return join '', @all[($from < 0 ? 0 : $from) .. $#all];
}

# The content of a file, '' when there is none.
sub slurp {
    my ($path) = @_;
    open my $fh, '<:raw', $path or return '';
    local $/ = undef;
    return scalar(<$fh>) // '';
}

# True when somebody accepts on the unix socket.
sub accepts {
    my ($path) = @_;
    return defined IO::Socket::UNIX->new(Peer => $path);
}

# Every service launched, the newest first: the order to stop them in.  Empty
# in a forked child, which owns none of them.
sub launched { return $$ == $owner ? reverse @launched : () }

1;

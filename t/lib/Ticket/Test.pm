package Ticket::Test;

# What every test file uses: Test::More, strictures, a short temporary
# directory, waiting for conditions, and an end that leaves nothing behind.
# done_testing stops all servers and fails when one of them has something to
# answer for (an alert in error.log, a sanitizer's report, a bad exit); a test
# that dies or is interrupted still stops them.

use strict;
use warnings;

use Cwd ();
use Exporter ();
use File::Basename ();
use File::Path ();
use File::Temp ();
use POSIX ();
use Test::More ();
use Ticket::Service;
use Time::HiRes ();

our @EXPORT = qw(temp_dir root_dir run slurp eventually within done_testing);

# Where Debian has the servers, and ordinary users do not look.
$ENV{PATH} .= ':/usr/sbin:/sbin';

my $owner = $$;
my $dir;
my $checked;
my $root = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../..');

sub import {
    my ($class) = @_;
    strict->import;
    warnings->import;
    my $caller = caller;
    my @more = grep { $_ ne 'done_testing' } @Test::More::EXPORT;
    Test::More->export($caller, @more);
    Exporter::export($class, $caller, @EXPORT);
    $SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
    return;
}

# The repository's root.
sub root_dir { return $root }

# The test's own directory, removed at the end unless TICKET_KEEP is set.
# Short, because the path of a unix socket has at most 107 bytes.
sub temp_dir {
    return $dir //= File::Temp::tempdir('ttXXXXXX', DIR => '/tmp');
}

# Runs a command with nothing on stdin; returns its exit status (-1 - signal
# when one killed it), stdout and stderr.
sub run {
    my (@command) = @_;
    my ($out, $err) = map { File::Temp->new(TEMPLATE => 'runXXXXXX', DIR => temp_dir()) } 1, 2;
    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) {
        open STDIN,  '<',  '/dev/null' or POSIX::_exit(126);
        open STDOUT, '>&', $out        or POSIX::_exit(126);
        open STDERR, '>&', $err        or POSIX::_exit(126);
        { no warnings 'exec'; exec {$command[0]} @command; }
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    my $status = $? & 127 ? -1 - ($? & 127) : $? >> 8;
    return ($status, slurp($out->filename), slurp($err->filename));
}

# The content of a file, '' when there is none.
sub slurp { return Ticket::Service::slurp(@_) }

# Waits until the condition is true; returns what it returned, or false when
# the seconds have passed.  An exception counts as not yet.
sub within {
    my ($condition, $seconds) = @_;
    my $deadline = Time::HiRes::time() + $seconds;
    while (1) {
        my $got = eval { $condition->() };
        return $got if $got;
        if (Time::HiRes::time() >= $deadline) {
            Test::More::diag("last exception: $@") if $@;
            return $got;
        }
        Time::HiRes::sleep(0.02);
    }
}

# A test that passes once the condition is true, within the seconds.
sub eventually (&$$) {
    my ($condition, $seconds, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::ok(within($condition, $seconds), $name);
}

# Stops every server; returns what the test must fail for.
sub stop_all {
    my @services = Ticket::Service::launched();
    for my $service (@services) {
        eval { $service->stop; 1 } or $service->problem("cannot be stopped: $@");
    }
    return map { $_->problems } @services;
}

sub done_testing {
    my @problems = stop_all();
    $checked = 1;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::ok(!@problems, 'the servers have nothing to report')
        or Test::More::diag(join "\n", @problems);
    return Test::More::done_testing();
}

END {
    if ($$ == $owner) {
        my $status = $?;
        my @problems = stop_all();
        Test::More::diag(join "\n", @problems) if @problems && !$checked;
        my $keep = $ENV{TICKET_KEEP};
        if (defined $dir && $keep) { Test::More::diag("kept: $dir") }
        elsif (defined $dir)       { File::Path::remove_tree($dir) }
        $? = $status;
    }
}

1;

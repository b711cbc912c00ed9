package Ticket::Browser;

# Plays the scenarios of t/browser in Chromium: runs one with node, turns its
# lines into checks (the protocol is at the head of t/browser/visit.js), and
# does for it what only the test can do.

use strict;
use warnings;

use Exporter qw(import);
use FindBin;
use IO::Socket::INET;
use IPC::Open2;
use Test::More ();

our @EXPORT_OK = qw(free_port play);

sub free_port {
    my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no free port: $!\n";
    return $probe->sockport;
}

# The scenario t/browser/NAME.js against the nginx at this port; the commands
# are what it may ask for.
sub play {
    my ($name, $port, %command) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $pid = open2(my $from, my $to, 'node', "$FindBin::Bin/browser/$name.js", $port);
    my $checks = 0;
    while (my $line = <$from>) {
        chomp $line;
        if ($line =~ /^(not )?ok (.*)/) {
            Test::More::ok(!$1, $2);
            $checks++;
        }
        elsif ($line =~ /^do (\w+)$/ && $command{$1}) {
            my $answer = eval { $command{$1}->(); 'done' } // $@;
            syswrite $to, $answer =~ s/\n//gr . "\n";
        }
        else {
            Test::More::diag($line =~ s/^# //r);
        }
    }
    waitpid $pid, 0;
    Test::More::is($?, 0, 'the browser came to its end');
    Test::More::cmp_ok($checks, '>', 4, 'and checks were made');
    return;
}

1;

package Ticket::Ordeal;

# A line that is watched while something fails: visitors inside and in line at
# one or several nodes, who poll all the while.  What must never happen (a
# poll that is not 200, a number that changes, two visitors with one number,
# more inside than there are slots, somebody admitted out of turn) is noted
# when it happens, and verdict states it as assertions.

use strict;
use warnings;

use Test::More ();
use Ticket::Http;
use Ticket::Line;
use Ticket::Nginx;
use Ticket::Test ();
use Time::HiRes qw(sleep time);

our $SLOTS   = 3;
our $SESSION = 8;    # seconds

# A node whose Redis is as ticket_redis says in "where"; %args as for
# Ticket::Nginx.
sub node {
    my ($where, %args) = @_;
    my $http = line_http("slots $SLOTS; session ${SESSION}s; claim 1m; liveness 5m;",
        extra => 'location = /s { ticket_gate show:$arg_show queue=/queue; proxy_pass http://unix:%%SOCK%%:/told; }');
    $http =~ s/ticket_redis\s[^;]*;/ticket_redis $where;/ or die "no ticket_redis in\n$http";
    return Ticket::Nginx->new(workers => 2, http => $http, %args);
}

# Options: nodes, redis (a function: the Ticket::Redis that has the line now),
# path and site (of queue and gate, default /queue and /site), room (default
# show), waiting (how many stand in line, default 20).
sub new {
    my ($class, %args) = @_;
    my $self = bless {
        path => '/queue', site => '/site', room => 'show', waiting => 20, %args,
        bad => [], most => 0, given => {}, inside => [], admitted => 0, line => [],
    }, $class;
    my $nodes = $args{nodes};
    for my $i (0 .. $SLOTS + $self->{waiting} - 1) {
        Ticket::Test::within(sub { $self->join_at($nodes->[$i % @$nodes])->{status} == 201 }, 10)
            or die "join $i fails\n";
    }
    Ticket::Test::within(sub { $self->step; $self->in_order }, 8) or $self->note('the line was never in order');
    return $self;
}

sub note { my ($self, $what) = @_; push @{$self->{bad}}, $what; return }

# Everybody who was given a number and was not admitted yet, by number.
sub line { return @{$_[0]{line}} }

# One more visitor; returns the response.
sub join_at {
    my ($self, $node) = @_;
    my $visitor = {jar => Ticket::Http::Jar->new, node => $node};
    my ($got) = post_all([$visitor], path => $self->{path});
    return $got if $got->{status} != 201;
    my $number = $visitor->{number} // ($visitor->{session} =~ /-([0-9]+)$/)[0];
    $self->note("L1: number $number given twice") if $self->{given}{$number}++;
    $self->{own}{$visitor + 0} = $visitor->{number} = $number;
    if ($visitor->{state} eq 'admitted') { $self->_enter($visitor, $got) }
    else { @{$self->{line}} = sort { $a->{number} <=> $b->{number} } @{$self->{line}}, $visitor }
    return $got;
}

# The next visitor's answer while nothing can be issued.
sub refuses {
    my ($self, $node, $name) = @_;
    my $got = $self->join_at($node);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::ok($got->{status} == 503 && $got->{json}{code} eq 'unavailable' && $got->{headers}{'retry-after'},
        "$name: a newcomer gets 503 with Retry-After") || Test::More::diag("$got->{status} $got->{body}");
}

# A visitor who is inside asks for the site.
sub enters {
    my ($self, $name) = @_;
    my $visitor = (grep { $_->{until} > time + 1 } @{$self->{inside}})[-1];
    my ($got) = each_visitor([$visitor], 'GET', path => $self->{site}) if $visitor;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::is($got->{status}, 200, "$name: a pass lets through");
}

sub _enter {
    my ($self, $visitor, $got) = @_;
    $visitor->{until} = time + ($got->{json}{expires_in_ms} // 0) / 1000;
    push @{$self->{inside}}, $visitor;
    $self->{admitted}++;
    $_->{passed} //= [$visitor->{number}, time]
        for grep { $_->{state} eq 'waiting' && $_->{number} < $visitor->{number} } $self->line;
    return;
}

# Whether somebody in line was overtaken: one who saw others with higher
# numbers enter learns of the own call with the next exchange, and is not in
# line any more when the node has just heard from Redis.
sub _overtaken {
    my ($self) = @_;
    for my $visitor (grep { $_->{passed} } $self->line) {
        my ($by, $at) = @{$visitor->{passed}};
        if ($visitor->{state} ne 'waiting') { delete $visitor->{passed} }
        elsif (time > $at + 1 && ($visitor->{updated_ms} // 9999) < 500) {
            $self->note("L4: $visitor->{number} waits, and $by was admitted");
            delete $visitor->{passed};
        }
    }
    return;
}

# Passes that are good, as their holders know: a moment less than they are.
sub inside {
    my ($self) = @_;
    @{$self->{inside}} = grep { $_->{until} > time + 0.3 } @{$self->{inside}};
    return scalar @{$self->{inside}};
}

# Everybody polls; those called claim.  Notes what is not as it should be.
sub step {
    my ($self) = @_;
    my @line = $self->line;
    for my $got (poll_all(\@line, path => $self->{path})) {
        $self->note("poll: $got->{status} " . ($got->{error} // $got->{body} // ''))
            if $got->{status} != 200 || $got->{json}{state} !~ /^(?:waiting|called)$/;
    }
    for my $visitor (@line) {
        $self->note("L5: $self->{own}{$visitor + 0} became $visitor->{number}")
            if $visitor->{number} != $self->{own}{$visitor + 0};
    }

    # The line may move by so much between two of these polls.
    my %last;
    for my $visitor (grep { $_->{state} eq 'waiting' && defined $_->{position} } @line) {
        my $at = $visitor->{node}{name};
        $self->note("L4: $visitor->{number} is at $visitor->{position}")
            if $visitor->{position} + $SLOTS <= ($last{$at} // 0);
        $last{$at} = $visitor->{position};
    }
    $self->_overtaken;
    $self->_claim(grep { $_->{state} eq 'called' } @line);
    $self->watch;
    return;
}

sub _claim {
    my ($self, @called) = @_;
    for my $visitor (@called) {
        my ($got) = post_all([$visitor], path => $self->{path});
        $self->note("claim: $got->{status} $got->{body}") if $got->{status} !~ /^(?:200|503)$/;
        next if $visitor->{state} ne 'admitted';
        @{$self->{line}} = grep { $_ != $visitor } @{$self->{line}};
        $self->_enter($visitor, $got);
    }
    return;
}

# Notes how many are inside, by what they hold and by what Redis says.
sub watch {
    my ($self) = @_;
    my $there = eval { occupied($self->{redis}->(), $self->{room}) } // 0;
    for ($self->inside, $there) { $self->{most} = $_ if $_ > $self->{most} }
    return;
}

# Steps for so many seconds.
sub steps {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;
    do { $self->step; sleep 0.05 } while time < $end;
    return;
}

# True when everybody in line has the position that follows.
sub in_order {
    my ($self) = @_;
    my $n = 0;
    return !grep { ($_->{position} // 0) != ++$n } $self->line;
}

# After the failure: a join succeeds, those inside leave or run out, and the
# next are admitted.
sub recovers {
    my ($self, $name, $node, $seconds) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Ticket::Test::eventually(sub { $self->step; $self->join_at($node // $self->{nodes}[0])->{status} == 201 },
        $seconds // 15, "$name: afterwards a join succeeds");
    my $before = $self->{admitted};
    Ticket::Test::eventually(sub { $self->step; $self->{admitted} >= $before + 2 },
        $seconds // 2 * $SESSION + 10, "$name: afterwards calling goes on");
    Ticket::Test::eventually(
        sub { $self->step; $self->watch; occupied($self->{redis}->(), $self->{room}) >= $self->inside },
        $SESSION + 2, "$name: L2: what Redis counts holds all who are inside");
    return;
}

# The assertions about all that was seen.
sub verdict {
    my ($self, $name) = @_;
    my @bad = @{$self->{bad}};
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::is(scalar @bad, 0, "$name: L1, L4, L5: all polls 200, every number its own, all in order")
        || Test::More::diag(join "\n", @bad[0 .. ($#bad > 9 ? 9 : $#bad)]);
    Test::More::cmp_ok($self->{most}, '<=', $SLOTS, "$name: L2: never more inside than slots");
    $_->stop for @{$self->{nodes}};
    return;
}

1;

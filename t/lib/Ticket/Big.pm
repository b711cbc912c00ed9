package Ticket::Big;

# A room with many numbers issued, as if they had joined and polled: written
# straight into Redis, on top of the state that the first visitor's join made.
# Of every eight numbers six are present; the lowest ones have been called and
# are gone.  Shared by the test with a million and the bench with ten.

use strict;
use warnings;

use Ticket::Http qw(http);
use Ticket::Nginx;
use Ticket::Test;
use Ticket::Token ();

use constant {
    SEG        => 32768,
    PRESENT    => "\xdb",    # 1, 1, 0, 1, 1, 0, 1, 1
    ROOM       => 'big',
    LIVENESS_S => 3600,
};

# Options: redis, issued (highest number), called (up to which all are gone),
# zone (size), workers.
sub new {
    my ($class, %args) = @_;
    my $self = bless {workers => 2, zone => '8m', %args}, $class;
    $self->{node} = $self->node('nginx');
    ($self->{secret}) = slurp(Ticket::Nginx::keys_file()) =~ /^1 ([0-9a-f]+)/ or die "no key\n";
    my $first = $self->{node}->http('POST', '/queue')->{json};
    $first->{state} eq 'admitted' && $first->{number} == 1 or die "the first visitor is not admitted\n";
    $self->{inside} = 1;
    $self->{epoch}  = $self->{redis}->cmd('HGET', $self->root, 'epoch');
    $self->issue;
    return $self;
}

# A node with the room, of one slot so that calls come one by one, and long
# windows so that those who never poll stay present.
sub node {
    my ($self, $name) = @_;
    return Ticket::Nginx->new(name => $name, redis => $self->{redis}, workers => $self->{workers}, http => <<"CONF");
        ticket_redis unix:%%REDIS%% timeout=5s;
        ticket_zone  rooms:$self->{zone} interval=100ms;
        ticket_keys  %%KEYS%%;
        ticket_room  ${\ROOM} { slots 1; session 1h; claim 10m; liveness ${\LIVENESS_S}s; early_polls allow; }
        server {
            listen unix:%%SOCK%%;
            location = /queue   { ticket_queue ${\ROOM}; }
            location = /metrics { ticket_metrics; }
        }
CONF
}

sub root { return 'ticket:{' . ROOM . '}' }

sub key {
    my ($self, $name) = @_;
    return $self->root . ":$self->{epoch}:$name";
}

# Writes the numbers: who polled, who is gone, and who is in line from both.
sub issue {
    my ($self) = @_;
    my ($redis, $issued, $called) = @{$self}{qw(redis issued called)};
    my ($window, $version) = @{$redis->cmd('HMGET', $self->root, 'win', 'ver')};
    my @commands = ['MULTI'];
    for my $seg (0 .. int($issued / SEG)) {
        my $polled = bits($seg, 1, $issued) & (PRESENT x (SEG / 8));
        my $gone   = bits($seg, 0, $called);
        push @commands, ['SET', $self->key("p:$window:$seg"), $polled],
            ['SET', $self->key("gone:$seg"), $gone],
            ['SET', $self->key("w:$seg"), $polled & ~$gone],
            ['HSET', $self->key('segs'), $seg, $version + 1];
    }
    push @commands, ['HSET', $self->root, issued => $issued, called => $called, ver => $version + 1],
        ['EXEC'];
    ref $_ eq 'Ticket::Redis::Error' and die "Redis: $$_\n" for @{$redis->pipeline(@commands)};
    return;
}

# The bits of a segment with those from one number to another set.
sub bits {
    my ($seg, $from, $to) = @_;
    my $bits = '';
    for my $n ($from, $to + 1) {    # a number of ones, and zeros up to $n
        my $zeros = $n - $seg * SEG;
        $zeros = $zeros < 0 ? 0 : $zeros > SEG ? SEG : $zeros;
        $bits ^= pack 'B*', '0' x $zeros . '1' x (SEG - $zeros);
    }
    return $bits;
}

sub is_present { my ($n) = @_; return $n > 0 && unpack('C', PRESENT) >> (7 - $n % 8) & 1 }

# How many up to a number were written as present.
sub present_to {
    my ($n) = @_;
    my $present = 6 * int(($n + 1) / 8) - 1;    # number 0 does not exist
    $present += is_present($_) for int(($n + 1) / 8) * 8 .. $n;
    return $n < 7 ? scalar(grep { is_present($_) } 1 .. $n) : $present;
}

# Where a number in line must stand: behind the present ones not yet called.
sub place_of {
    my ($self, $n) = @_;
    return present_to($n) - present_to($self->{called});
}

# The next present number above one.
sub next_present {
    my ($n) = @_;
    do { $n++ } until is_present($n);
    return $n;
}

sub token {
    my ($self, $n) = @_;
    return Ticket::Token::token(kind => 'queue', room => ROOM, secret => $self->{secret}, epoch => $self->{epoch},
                                number => $n);
}

# A request of the visitor with that number; the JSON of the answer.
sub ask {
    my ($self, $method, $n, $node) = @_;
    my $answer = http(($node // $self->{node})->target, $method, '/queue', {'X-Ticket-Queue' => $self->token($n)});
    return $answer->{json} // {state => $answer->{status}};
}

# Tests that numbers at the front, in the middle and at the end stand where
# they must, on both sides of the borders of segments, at a node.
sub test_places {
    my ($self, $node) = @_;
    my ($called, $issued) = @{$self}{qw(called issued)};
    my $middle = int(($called + $issued) / 2 / SEG) * SEG;
    my @numbers = map { next_present($_) } $called, $called + 4, $called + SEG, $middle - 3, $middle,
        $middle + 511, $middle + SEG - 2, $issued - SEG, $issued - 9;
    eventually { ($self->ask('GET', $numbers[-1], $node)->{waiting} // 0) == $self->place_of($issued) } 20,
        'the node has the line';
    for my $n (@numbers) {
        my $got = $self->ask('GET', $n, $node);
        is "$got->{state} $got->{position} of $got->{waiting}",
            "waiting @{[$self->place_of($n)]} of @{[$self->place_of($issued)]}", "number $n stands in its place";
    }
    return;
}

# Requests of one visitor in every segment still in line, all at once.
sub poll_everywhere {
    my ($self) = @_;
    my @requests = map {
        ['GET', '/queue', {'X-Ticket-Queue' => $self->token(next_present($_ * SEG + 1000))}]
    } 1 + int($self->{called} / SEG) .. int($self->{issued} / SEG) - 1;
    return @{$self->{node}->http_many(\@requests)};
}

# Lets the next script begin a new presence window, as after a liveness time.
sub end_window {
    my ($self) = @_;
    $self->{redis}->cmd('HSET', $self->root, 'turned', -LIVENESS_S * 1000);
    return;
}

# Tests that calls go on in the order of the numbers, so many of them.
sub test_calls {
    my ($self, $times) = @_;
    for (1 .. $times) {
        my $next = next_present($self->{called});
        my $after = next_present($next);
        is $self->ask('DELETE', $self->{inside})->{state}, 204, "number $self->{inside} leaves";
        eventually { $self->ask('GET', $next)->{state} eq 'called' } 20, "number $next is called";
        $self->{called} = $next;
        is $self->ask('GET', $after)->{position}, 1, "number $after is next";
        is $self->ask('POST', $next)->{state}, 'admitted', "number $next is admitted";
        $self->{inside} = $next;
    }
    return;
}

# Tests that newcomers get the numbers that follow, and stand behind all.
sub test_joins {
    my ($self, $count) = @_;
    my $waiting = $self->place_of($self->{issued});
    my @answers = $self->{node}->http_many([(['POST', '/queue']) x $count]);
    @answers = sort { $a->{number} <=> $b->{number} } map { $_->{json} } @{$answers[0]};
    is_deeply [map { $_->{number} } @answers], [map { $self->{issued} + $_ } 1 .. $count],
        "newcomers get numbers from @{[$self->{issued} + 1]} on";
    is $self->ask('GET', $self->{issued} + $count)->{position}, $waiting + $count, 'and stand behind all';
    return;
}

1;

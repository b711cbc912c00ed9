package Ticket::Line;

# A crowd of visitors in a room, for the tests of the line's rules: nodes with
# a short exchange interval, visitors with a cookie jar each, and a watch on
# what Redis holds.

use strict;
use warnings;

use Exporter 'import';
use Ticket::Http;
use Ticket::Nginx;
use Time::HiRes ();

our @EXPORT = qw(line_http line_node crowd each_visitor poll_all post_all
    leave_all numbers occupied);

# The http block: a room with these settings, its queue at /queue, and a gated
# page at /site that shows what the site is told.  Polls are answered however
# early, unless the settings say otherwise.
sub line_http {
    my ($settings, %more) = @_;
    my $zone = $more{zone} // 'rooms:4m interval=100ms';
    my $extra = $more{extra} // '';
    my $timeout = $more{timeout} // '500ms';
    $settings .= ' early_polls allow;' if $settings !~ /early_polls/;
    return <<"CONF";
        ticket_redis unix:%%REDIS%% timeout=$timeout;
        ticket_zone  $zone;
        ticket_keys  %%KEYS%%;
        ticket_room  show { $settings }
        server {
            listen unix:%%SOCK%%;
            location = /queue   { ticket_queue show; }
            location = /q       { ticket_queue show:\$arg_show; }
            location = /site    {
                ticket_gate show queue=/queue;
                proxy_pass http://unix:%%SOCK%%:/told;
            }
            location = /told    { return 200 "\$http_x_ticket_session"; }
            location = /metrics { ticket_metrics; }
            $extra
        }
CONF
}

sub line_node {
    my ($redis, $settings, %args) = @_;
    my %more = map { $_ => delete $args{$_} } grep { exists $args{$_} } qw(zone extra timeout);
    return Ticket::Nginx->new(redis => $redis, workers => 2,
                              http => line_http($settings, %more), %args);
}

# N visitors who have joined at a node, in the order of their numbers.
sub crowd {
    my ($node, $n, %option) = @_;
    my @crowd = map { {jar => Ticket::Http::Jar->new, node => $node} } 1 .. $n;
    post_all(\@crowd, %option);
    return sort { $a->{number} <=> $b->{number} } @crowd;
}

# One request of each visitor, at their own nodes; notes what they are told.
# Returns the responses in the order of the visitors.
sub each_visitor {
    my ($visitors, $method, %option) = @_;
    my $path = $option{path} // '/queue';
    my %at;
    push @{$at{$_->{node}->target}}, $_ for @$visitors;
    my %response;
    for my $target (sort keys %at) {
        my @requests = map { {method => $method, path => $path, jar => $_->{jar}} } @{$at{$target}};
        my $got = Ticket::Http->new($target)->many(\@requests, concurrency => $option{concurrency} // 50);
        @response{map { $_ + 0 } @{$at{$target}}} = @$got;
    }
    for my $visitor (@$visitors) {
        my $json = $response{$visitor + 0}{json} or next;
        next if $response{$visitor + 0}{status} >= 300;
        $visitor->{$_} = $json->{$_} for qw(state number position ahead waiting session updated_ms);
    }
    return map { $response{$_ + 0} } @$visitors;
}

sub poll_all  { my ($visitors, @option) = @_; return each_visitor($visitors, 'GET', @option) }
sub post_all  { my ($visitors, @option) = @_; return each_visitor($visitors, 'POST', @option) }
sub leave_all { my ($visitors, @option) = @_; return each_visitor($visitors, 'DELETE', @option) }

sub numbers { return map { $_->{number} } @_ }

# Sessions and outstanding calls of the room, in one step.
sub occupied {
    my ($redis, $room) = @_;
    $room //= 'show';
    return $redis->cmd('EVAL', <<'LUA', 1, "ticket:{$room}");
        local epoch = redis.call('HGET', KEYS[1], 'epoch')
        if not epoch then return 0 end
        return redis.call('ZCARD', KEYS[1] .. ':' .. epoch .. ':sess')
             + redis.call('ZCARD', KEYS[1] .. ':' .. epoch .. ':calls')
LUA
}

1;

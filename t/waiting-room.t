# The waiting page and the module together: nginx, Redis, the real pages and
# Chromium, in a room that opens with a draw, with the puzzle, while an operator
# works, in two tabs, and with a login.  The scenarios in t/browser drive the
# browser; here are the servers, and what a scenario asks of them.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Browser qw(free_port play);
use Ticket::Nginx;
use Ticket::Redis;
use POSIX qw(strftime);

my @SCENARIOS = qw(opening proof operator login tabs);

my $PREQUEUE_S = 6;     # from when the scenario asks for it
my $OPENS_S    = 22;

my $port  = free_port();
my $redis = Ticket::Redis->new(dir => temp_dir());
my $site  = temp_dir() . '/site';
mkdir $site or die "$site: $!\n";
write_file("$site/index.html", '<!doctype html><html lang="en"><title>Inside</title><h1>Inside</h1></html>');
my $nginx = Ticket::Nginx->new(redis => $redis, http => configuration(time + 3600));

sub write_file {
    my ($path, $text) = @_;
    open my $fh, '>', $path or die "$path: $!\n";
    print {$fh} $text;
    close $fh or die "$path: $!\n";
    return;
}

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime shift) }

# Each scenario has a host name and a room of its own; what they need else goes by host, too.
sub configuration {
    my ($from) = @_;
    my $web = root_dir() . '/web';
    my ($policy) = slurp(root_dir() . '/conf/demo/nginx.conf') =~ /^\s*(add_header Content-Security-Policy .*)$/m;
    my $hours = sprintf 'prequeue %s; opens %s;', at($from + $PREQUEUE_S), at($from + $OPENS_S);
    my $rest = 'session 5m; claim 1m; liveness 1m;';
    my $gate = 'ticket_gate $room queue=/queue page=/_ticket/waiting.$ticket_lang.html;';
    return <<"END";
    include      /etc/nginx/mime.types;
    charset      utf-8;
    log_format   met '\$status \$request_method \$uri room=\$room state=\$ticket_state';
    ticket_redis unix:%%REDIS%%;
    ticket_zone  rooms:8m;
    ticket_keys  %%KEYS%%;
    ticket_room  opening  { slots 1; $hours draw on; $rest }
    ticket_room  proof    { slots 1; $rest }
    ticket_room  operator { slots 1; $rest }
    ticket_room  login    { slots 1; $rest }
    ticket_room  tabs     { slots 1; $rest }
    map \$host \$room { ~^([a-z]+)\\.localhost\$ \$1; }
    map \$room \$challenge { default off; proof pow; }
    map \$http_accept_language \$ticket_lang { default en; ~*^ko ko; }
    limit_req_zone \$http_user_agent zone=plain:1m rate=1r/m;
    server {
        listen unix:%%SOCK%%;
        listen 127.0.0.1:$port;
        access_log %%DIR%%/access.log met;
        root   $site;
        ticket_identity \$cookie_login;
        $policy
        if (\$challenge = pow) { set \$ticket_plain_url /plain; }
        location = / {
            ticket_challenge \$challenge difficulty=14;
            $gate
            expires   epoch;
            try_files /index.html =404;
        }
        location = /plain {
            limit_req zone=plain;
            try_files /none \@plain;
        }
        location \@plain {
            set \$ticket_back_url /;
            $gate
            expires   epoch;
            try_files /index.html =404;
        }
        location /_ticket/ { internal; ssi on; alias $web/; }
        location /static/  { alias $web/; }
        location /queue {
            ticket_challenge \$challenge difficulty=14;
            ticket_queue     \$room;
        }
        location /room/admin/ { ticket_admin; allow 127.0.0.1; deny all; }
    }
END
}

sub stock { return $redis->cmd('SET', 'ticket:{operator}:stock', shift) }

# What a scenario may ask for.
my %COMMAND = (
    schedule => sub { $nginx->configure(http => configuration(time)); $nginx->reload },
    soldout  => sub { stock(0) },
    restock  => sub { stock(5) },
);

for my $name (@SCENARIOS) {
    subtest $name => sub { play($name, $port, %COMMAND) };
}

my @log = split /\n/, slurp(temp_dir() . '/access.log');
my %polls = map { my $room = $_; ($room => scalar grep { /^\d+ GET \/queue room=$room / } @log) } @SCENARIOS;
cmp_ok($polls{$_}, '>', 3, "the pages of $_ polled") for @SCENARIOS;
is_deeply([grep { /^429 / && !/room=(?:tabs|login) / } @log], [], 'a page that shares its place with no other is never too early');
is_deeply([grep { /^5/ && !m{ /plain } } @log], [], 'and nothing failed');

done_testing;
